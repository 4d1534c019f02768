"""What can go wrong with a call."""


class ServiceError(Exception):
    """The service refused, or cannot be reached; the text says what it said.

    Attributes:
        status: HTTP status, or None when there was no answer.
        unreachable: whether the connection could not be made, or broke.
    """

    def __init__(self, message: str, status: int | None = None, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.unreachable = unreachable
