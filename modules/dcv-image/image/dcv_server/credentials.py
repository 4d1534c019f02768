"""The session user's name and password, from the secret that `DCV_SM_NAME` names."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .aws_client import AwsError, call
from .aws_credentials import CredentialsError
from .aws_http import UnreachableError
from .errors import StartError

VARIABLE = "DCV_SM_NAME"
DEFAULT_NAME = "dcv-credentials"
# What useradd(8) of every supported system takes, with capitals as Amazon DCV's own documents use them.
USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
LONGEST_PASSWORD = 511  # bytes; crypt(3) of libxcrypt and PAM take no more
WAITS = (0.5, 1.0, 2.0)  # seconds between attempts when AWS does not answer


@dataclass(frozen=True)
class Credentials:
    """Whom the session belongs to. The password never shows in a representation."""

    user: str
    password: str = field(repr=False)


def read(environment: Mapping[str, str], pause: Callable[[float], None] = time.sleep) -> Credentials:
    """Ask Secrets Manager.

    Raises:
        StartError: one line that names the manifest parameter and the secret.
    """
    name = environment.get(VARIABLE) or DEFAULT_NAME
    return parse(name, _value(name, environment, pause))


def parse(name: str, text: str) -> Credentials:
    """The credentials in the secret's text. No message quotes what the secret holds.

    Raises:
        StartError: the text is not `{"UserName": …, "Password": …}` with usable values.
    """
    try:
        content = json.loads(text)
    except ValueError:
        raise _problem(name, "is not JSON") from None
    if not isinstance(content, dict):
        raise _problem(name, "is no JSON object")
    user, password = (_text(name, content, key) for key in ("UserName", "Password"))
    if not USER_NAME.fullmatch(user):
        raise _problem(
            name,
            "has a UserName that no account can have: up to 32 letters, digits, '_', '-' and '.', "
            "the first a letter or '_'",
        )
    if "\0" in password or any("\ud800" <= character <= "\udfff" for character in password):
        raise _problem(name, "has a Password with a character that no login can send")
    if len(password.encode()) > LONGEST_PASSWORD:
        raise _problem(name, f"has a Password of more than {LONGEST_PASSWORD} bytes")
    return Credentials(user, password)


def _text(name: str, content: Mapping[str, object], key: str) -> str:
    if key not in content:
        raise _problem(name, f"has no key {key}")
    value = content[key]
    if not isinstance(value, str):
        raise _problem(name, f"has a {key} that is no text")
    if not value:
        raise _problem(name, f"has an empty {key}")
    return value


def _value(name: str, environment: Mapping[str, str], pause: Callable[[float], None]) -> str:
    for wait in WAITS:
        try:
            return _ask(name, environment)
        except UnreachableError:
            pause(wait)
    try:
        return _ask(name, environment)
    except UnreachableError as error:
        raise _problem(name, f"cannot be read: Secrets Manager at {error}") from None


def _ask(name: str, environment: Mapping[str, str]) -> str:
    try:
        answer = call("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": name}, environment)
    except CredentialsError as error:
        raise _problem(name, f"cannot be read: {error}") from None
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            raise _problem(name, "does not exist in this account and region") from None
        if error.code in ("AccessDeniedException", "AccessDenied"):
            raise _problem(
                name, "may not be read by the pod's role: attach the policy DCVRuntimePolicyArn to it"
            ) from None
        raise _problem(name, f"cannot be read: {error}") from None
    text = answer.get("SecretString")
    if not isinstance(text, str) or not text:
        raise _problem(name, "is empty or binary")
    return text


def _problem(name: str, what: str) -> StartError:
    return StartError(
        f"dcv-sm-name: the secret {name!r} {what}; "
        'it has to be {"UserName": "…", "Password": "…"} in Secrets Manager'
    )
