"""Whose request it is."""

import time
import uuid

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
        self._known: dict[uuid.UUID, tuple[float, User]] = {}

    async def user(self, text: str | None) -> tuple[User, Token] | None:
        """The user of a token, and what the token says; None when it is not valid."""
        if text is None:
            return None
        try:
            token = self._tokens.read(text)
        except InvalidTokenError:
            return None
        remembered = self._known.get(token.token_id)
        if remembered and time.monotonic() - remembered[0] < REMEMBERED:
            return remembered[1], token
        user = await self._users.signed_in(token.user_id, token.generation, token.token_id)
        if user is None:
            self._known.pop(token.token_id, None)
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[token.token_id] = (time.monotonic(), user)
        return user, token

    def forget(self) -> None:
        """Ask the database about every token again: users or tokens have changed."""
        self._known.clear()
