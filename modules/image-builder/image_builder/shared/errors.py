"""Errors that end a run with one message for the user and no traceback."""


class UserError(Exception):
    """Something the user can put right; the text names what was given and what to do.

    Attributes:
        exit_status: status that the process ends with.
    """

    exit_status = 1


class ParameterError(UserError):
    """One or more module parameters are missing or wrong; found before anything is touched."""

    exit_status = 2
