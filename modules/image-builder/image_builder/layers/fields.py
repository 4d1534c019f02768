"""The texts that layers may hold.

A generated Dockerfile must say what the request says and nothing else. So each field either has a
grammar in which nothing can end the instruction, or is written in a form (JSON, double quotes) whose
escapes are complete; what fits neither is refused, and pydantic names the field.

Variables (`$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+alternative}`) work where a Dockerfile has
them; `\\$` is a dollar sign.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

MAX_TEXT = 65_536  # characters of one text; a kernel takes arguments of up to 128 KiB

_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph separators
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(
    rf"\\\$|\$(?P<plain>{_NAME})|\$\{{(?P<name>{_NAME})(?:(?P<how>:[-+])(?P<word>[^{{}}$\"'\\]*))?\}}"
)
_PATH = re.compile(r"[^\s\"'\\\[\]]+")
_ACCOUNT = r"(?:[A-Za-z_][A-Za-z0-9_.-]{0,63}|[0-9]{1,10})"


def variable(text: str, at: int) -> "re.Match[str] | None":
    """The variable, or the escaped dollar sign, that begins at this character."""
    return _VARIABLE.match(text, at)


def _one_line(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in _CONTROL:
            raise ValueError(f"has the control character {character!r}, which could begin an instruction")
    return text


def _command_text(text: str) -> str:
    """Line breaks and tabs may stand in what is written as JSON, where they are escaped."""
    _one_line(text.replace("\n", " ").replace("\t", " "))
    return text


def _expandable(text: str) -> str:
    _one_line(text)
    at = 0
    while (at := text.find("$", at)) >= 0:
        escaped = at > 0 and text[at - 1] == "\\"
        if not escaped and text[at + 1 : at + 2] == "{" and not variable(text, at):
            raise ValueError(
                f"{text[at : at + 40]!r} is not a variable: there are $NAME, ${{NAME}}, ${{NAME:-default}} "
                "and ${NAME:+alternative}, and \\$ is a dollar sign"
            )
        at += 1
    return text


def _path(text: str) -> str:
    _expandable(text)
    bare = _VARIABLE.sub("v", text)
    if not _PATH.fullmatch(bare) or bare.startswith(("-", "<<", "#")):
        raise ValueError(
            "is not a path that an instruction can hold: no spaces, quotes, backslashes or brackets, and "
            "none of - << # at its beginning"
        )
    return text


def _scalar(value: object) -> object:
    """Numbers and truth values count as their text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Line = Annotated[StrictStr, Field(max_length=MAX_TEXT), AfterValidator(_one_line)]
Text = Annotated[StrictStr, Field(max_length=MAX_TEXT), AfterValidator(_expandable)]
Scalar = Annotated[
    StrictStr,
    BeforeValidator(_scalar, json_schema_input_type=StrictStr | StrictInt | StrictFloat | StrictBool),
]
Value = Annotated[Scalar, Field(max_length=MAX_TEXT), AfterValidator(_expandable)]
Argument = Annotated[Scalar, Field(max_length=MAX_TEXT), AfterValidator(_command_text)]
Command = Annotated[StrictStr, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_command_text)]
Path = Annotated[StrictStr, Field(min_length=1, max_length=4096), AfterValidator(_path)]
Name = Annotated[StrictStr, Field(pattern=rf"^{_NAME}$", max_length=255)]
Account = Annotated[StrictStr, Field(pattern=rf"^{_ACCOUNT}$")]
Permissions = Annotated[StrictStr, Field(pattern=r"^[0-7]{3,4}$")]
Alias = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
# What can stand in `--mount=…`: no comma, no white space, nothing that a shell or CSV would read.
MountWord = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_./@:+-]{1,1024}$")]
