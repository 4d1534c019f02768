"""What can go wrong between two programs that speak HTTP/1.1; no message holds a URL or a header."""

# ruff: noqa: N818 - the names say what happened; all of them are HttpErrors


class HttpError(Exception):
    """No answer, or none that makes sense."""


class NoConnection(HttpError):
    """The peer, or the proxy on the way to it, cannot be reached."""


class UntrustedCertificate(HttpError):
    """The peer's certificate is not trusted; the message says why."""


class ConnectionBroken(HttpError):
    """The connection ended before the answer did.

    Attributes:
        answered: whether anything of the answer had arrived.
    """

    def __init__(self, *, answered: bool) -> None:
        super().__init__("the connection broke")
        self.answered = answered


class Stalled(HttpError):
    """The peer neither reads nor writes, or so slowly that it comes to the same."""


class ProtocolViolation(HttpError):
    """What arrived is not HTTP/1.1."""


class Unsendable(HttpError):
    """A request that could be read as another one; nothing of it was sent."""
