"""Numbers of users and groups, by the names that an image knows."""

import re
from collections.abc import Mapping

from ..errors import InvalidRequestError

_DIGITS = re.compile(r"[0-9]{1,10}")
_LAST = 2**32 - 2


def owner_of(text: str, accounts: Mapping[str, bytes]) -> tuple[int, int]:
    """Numbers of `user` or `user:group`; a user without a group brings its own, and a number that the
    image does not know stands for its group too (Dockerfile reference, COPY --chown).

    Args:
        text: names or numbers.
        accounts: content of `etc/passwd` and `etc/group`.

    Raises:
        InvalidRequestError: the image does not know a name.
    """
    user, colon, group = text.partition(":")
    users = _table(accounts.get("etc/passwd", b""), numbers=(2, 3))
    if _DIGITS.fullmatch(user):
        uid = _number(user)
        own = next((int(entry[3]) for entry in users.values() if entry[2] == user), uid)
    elif user in users:
        uid, own = int(users[user][2]), int(users[user][3])
    else:
        raise InvalidRequestError(f"user_id: the image does not know the user {user!r}")
    if not colon:
        return uid, own
    if _DIGITS.fullmatch(group):
        return uid, _number(group)
    groups = _table(accounts.get("etc/group", b""), numbers=(2,))
    if group not in groups:
        raise InvalidRequestError(f"group_id: the image does not know the group {group!r}")
    return uid, int(groups[group][2])


def _number(text: str) -> int:
    if int(text) > _LAST:
        raise InvalidRequestError(f"{text} is no number of a user or group")
    return int(text)


def _is_number(text: str) -> bool:
    return _DIGITS.fullmatch(text) is not None and int(text) <= _LAST


def _table(content: bytes, numbers: tuple[int, ...]) -> dict[str, list[str]]:
    """Lines `name:password:number:…`, the first of each name; these of its fields have to be numbers."""
    table: dict[str, list[str]] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) > 3 and all(_is_number(fields[at]) for at in numbers):
            table.setdefault(fields[0], fields)
    return table
