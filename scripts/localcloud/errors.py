"""The one kind of error that ends a command of the local cloud."""


class LocalCloudError(Exception):
    """Something the user can act on: the text says what is wrong and what to do.

    Attributes:
        exit_status: status that the command ends with.
    """

    exit_status = 1


class UsageError(LocalCloudError):
    """The command line or an environment variable is wrong; nothing was touched."""

    exit_status = 2
