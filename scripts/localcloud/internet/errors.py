"""The one error that this package raises on purpose."""

from localcloud.errors import LocalCloudError


class InternetError(LocalCloudError):
    """The box could not be built or filled; the message says what failed and what to do."""
