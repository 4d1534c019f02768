"""The desktop's settings: what the manager's environment says, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from . import account, address
from .errors import say

LANGUAGES = Path("/usr/lib/locale")
DEFAULT_LANGUAGE = "C.UTF-8"
_UID_DIGITS = 10  # Python refuses to read numbers of thousands of digits
_LAYOUT = re.compile(r"[A-Za-z0-9_,:()+-]{1,128}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)
KEYBOARD = {
    "KEYBOARD_MODEL": "-model",
    "KEYBOARD_LAYOUT": "-layout",
    "KEYBOARD_VARIANT": "-variant",
    "KEYBOARD_OPTIONS": "-option",
}


class Settings(NamedTuple):
    """What a desktop is started with.

    Attributes:
        audio_uid: whose folder below `/run/user` has the socket that the sidecar plays and records by.
        root_allowed: whether the user may become root.
        language: value of LANG; a locale that the image has.
        keyboard: arguments of setxkbmap; empty for the server's default.
    """

    user: str
    uid: int
    gid: int
    audio_uid: int
    home: Path
    address: address.UnixAddress | address.TcpAddress
    root_allowed: bool
    language: str
    keyboard: tuple[str, ...]


def read(environment: Mapping[str, str], uid: int, gid: int, languages: Path = LANGUAGES) -> Settings:
    """Read the environment of a process with these ids; what can be made good is said and made good.

    Raises:
        ParameterError: the desktop cannot work with what is set.
    """
    asked = _uid(environment.get("UID", ""))
    own_uid, own_gid = (uid, gid) if uid else (asked, asked)
    if uid and environment.get("UID") and asked != uid:
        say(f"UID is {asked}, but the container runs with uid {uid}: the desktop keeps uid {uid}")
    user = account.name_from(environment.get("USER", ""), own_uid)
    return Settings(
        user=user,
        uid=own_uid,
        gid=own_gid,
        audio_uid=asked,
        home=_home(environment.get("HOME", ""), user),
        address=address.from_environment(environment),
        root_allowed=environment.get("ENABLE_ROOT", "").lower() in ("1", "true", "yes"),
        language=_language(environment.get("LANG", ""), languages),
        keyboard=_keyboard(environment),
    )


def _uid(text: str) -> int:
    if text.isdecimal() and len(text) <= _UID_DIGITS and 0 < int(text) < 2**32 - 1:
        return int(text)
    if text:
        say(f"UID is {text!r}, which is no user's number: it is taken for {account.DEFAULT_UID}")
    return account.DEFAULT_UID


def _home(text: str, user: str) -> Path:
    default = Path("/home") / user
    # The engine itself sets HOME to / for an account that the image does not have.
    if text in ("", "/", "/root"):
        return default
    if not text.startswith("/") or not text.isprintable() or ":" in text or ".." in text.split("/"):
        say(f"HOME is {text!r}, which is no folder for a user: it is taken for {default}")
        return default
    return Path(text)


def _language(text: str, languages: Path) -> str:
    if text in ("", "C", "POSIX"):
        return DEFAULT_LANGUAGE
    # The C library writes the encoding of a locale's folder in small letters and without a hyphen.
    folder = re.sub(r"\.utf-?8$", ".utf8", text, flags=re.IGNORECASE)
    if _LANGUAGE.fullmatch(text) and (languages / folder).is_dir():
        return text
    say(f"LANG is {text!r}, which this image does not have: it is taken for {DEFAULT_LANGUAGE}")
    return DEFAULT_LANGUAGE


def _keyboard(environment: Mapping[str, str]) -> tuple[str, ...]:
    arguments: list[str] = []
    for name, option in KEYBOARD.items():
        value = environment.get(name, "")
        if _LAYOUT.fullmatch(value):
            arguments += [option, value]
        elif value:
            say(f"{name} is {value!r}, which is no name of XKB: it is ignored")
    return tuple(arguments)
