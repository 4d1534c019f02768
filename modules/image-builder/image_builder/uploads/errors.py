"""What can be wrong with an upload; every text is for the person who sends it."""


class UploadError(Exception):
    """The upload cannot be done as it was asked."""


class UploadNotFoundError(UploadError):
    """The owner has no such upload."""


class WrongDigestError(UploadError):
    """What came has another digest than was said; it is removed."""


class UploadConflictError(UploadError):
    """The request contradicts what is there.

    Attributes:
        offset: bytes that are there.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class QuotaError(UploadError):
    """There is no room for it.

    Attributes:
        limit: bytes that may be there.
        current: bytes that would be there.
    """

    def __init__(self, message: str, limit: int, current: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.current = current
