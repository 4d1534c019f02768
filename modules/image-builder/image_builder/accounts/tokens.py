"""Tokens (JWT) that stand for a signed-in user."""

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

import jwt

_CLAIMS = ["exp", "iat", "jti", "sub", "gen", "aud"]
_AUDIENCE = "image-builder"


class InvalidTokenError(Exception):
    """It is no token of ours, or it has expired."""


@dataclass(frozen=True)
class Token:
    """What a token says."""

    token_id: uuid.UUID
    user_id: uuid.UUID
    generation: int
    expires_at: int  # seconds since 1970


class Tokens:
    """Issues and reads tokens."""

    def __init__(self, secret: str, algorithm: str, lifetime: timedelta) -> None:
        self._secret = secret
        self._algorithm = algorithm
        self.lifetime = lifetime

    def issue(self, user_id: uuid.UUID, generation: int) -> str:
        """A new token of a user, valid for the settings' time."""
        now = int(time.time())
        claims = {
            "sub": str(user_id),
            "jti": str(uuid.uuid4()),
            "gen": generation,
            "aud": _AUDIENCE,
            "iat": now,
            "exp": now + max(1, int(self.lifetime.total_seconds())),
        }
        return jwt.encode(claims, self._secret, algorithm=self._algorithm)

    def read(self, text: str) -> Token:
        """What a token says that we issued and that has not expired.

        Raises:
            InvalidTokenError: it is none, or has expired.
        """
        try:
            claims = jwt.decode(
                text,
                self._secret,
                algorithms=[self._algorithm],
                audience=_AUDIENCE,
                options={"require": _CLAIMS},
            )
            return Token(
                uuid.UUID(claims["jti"]), uuid.UUID(claims["sub"]), int(claims["gen"]), int(claims["exp"])
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise InvalidTokenError("the token is not valid or has expired") from None
