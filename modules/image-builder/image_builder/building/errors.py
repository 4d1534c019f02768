"""What can go wrong with a build; every text is for the person who asked for it."""

from typing import ClassVar


class BuildError(Exception):
    """A build that ends without an image; the text names the layer or field and what to do.

    Attributes:
        code: short name for programs.
        again: whether the same request may work later.
    """

    code: ClassVar[str] = "failed"
    again: ClassVar[bool] = False


class InvalidRequestError(BuildError):
    """The request cannot be built as it is: a file that it does not have, a path that leads outside."""

    code = "invalid-request"


class BaseUnavailableError(BuildError):
    """A base image is not there, is none, or may not be read."""

    code = "base-unavailable"


class NotAllowedError(BuildError):
    """The request leads where the administrator has allowed nobody to go."""

    code = "not-allowed"


class DownloadError(BuildError):
    """A URL of an `add` layer gives nothing, or something else than its checksum says."""

    code = "download-failed"


class CommandError(BuildError):
    """A command of the request ended with an error; its output is in the log."""

    code = "command-failed"


class LimitExceededError(BuildError):
    """The build took more time, memory, disk, processes or log than it may."""

    code = "limit-exceeded"


class CancelledBuildError(BuildError):
    """Somebody cancelled the build; nothing of it runs any more."""

    code = "cancelled"


class PushError(BuildError):
    """The registry does not take the image, or cannot be reached."""

    code = "push-failed"
    again = True


class BuilderUnavailableError(BuildError):
    """This machine cannot run commands of builds: a program or a right is missing."""

    code = "builder-unavailable"
    again = True
