"""Whose request it is."""

import time

from ..accounts.tokens import InvalidTokenError, Token, Tokens
from ..accounts.users import User, Users

# Seconds that an answer of the database counts. A user who is disabled, or a token that is revoked, through
# another process of the service works this much longer.
REMEMBERED = 1.0
MOST = 10_000  # tokens


class Sessions:
    """Finds the users of tokens."""

    def __init__(self, users: Users, tokens: Tokens) -> None:
        self._users = users
        self._tokens = tokens
        self._known: dict[str, tuple[float, User, Token]] = {}

    async def user(self, text: str | None) -> tuple[User, Token] | None:
        """The user of a token, and what the token says; None when it is not valid."""
        if text is None:
            return None
        remembered = self._known.get(text)
        if remembered and time.monotonic() - remembered[0] < REMEMBERED:
            _, user, token = remembered
            return (user, token) if time.time() < token.expires_at else None
        return await self._asked(text)

    async def _asked(self, text: str) -> tuple[User, Token] | None:
        self._known.pop(text, None)
        try:
            token = self._tokens.read(text)
        except InvalidTokenError:
            return None
        user = await self._users.signed_in(token.user_id, token.generation, token.token_id)
        if user is None:
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[text] = (time.monotonic(), user, token)
        return user, token

    def forget(self) -> None:
        """Ask the database about every token again: users or tokens have changed."""
        self._known.clear()
