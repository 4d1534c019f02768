"""Passwords as Argon2id hashes."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

# OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. What the service may use of memory is bounded,
# so passwords are also checked two at a time.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = 2

MIN_LENGTH = 10  # characters
MAX_LENGTH = 1024


class Passwords:
    """Makes and checks hashes, in threads, a bounded number at a time."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = _HASHER.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        """The hash to keep of a password."""
        async with self._slots:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password; for None (no such user) false after as much work."""
        async with self._slots:
            same = await asyncio.to_thread(_verify, password_hash or self._nobodys, password)
        return same and password_hash is not None


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False
