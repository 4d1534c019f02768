"""The two parameters in SSM's Parameter Store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .. import aws_credentials
from ..aws_client import AwsError, call
from ..aws_credentials import AwsCredentials, CredentialsError
from ..aws_http import UnreachableError
from .errors import PublicationError

SECONDS = 3.0  # for each answer
# Credentials are kept so long, since a verification every 2 s must not ask STS every 2 s. Those of a role
# last at least 15 minutes (AWS STS API Reference, AssumeRoleWithWebIdentity).
KEPT_SECONDS = 300.0
DENIED = ("AccessDeniedException", "AccessDenied")
# AWS no longer takes the credentials that we keep, or the machine's clock is wrong.
REFUSED_CREDENTIALS = (
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidSignatureException",
    "UnrecognizedClientException",
)


class Parameters:
    """Makes parameters hold values."""

    def __init__(self, names: Mapping[str, str], environment: Mapping[str, str]) -> None:
        """`names`: key of a value -> name of the parameter for it."""
        self.name = f"SSM parameters {', '.join(names.values())}"
        self._names = dict(names)
        self._credentials = _KeptCredentials(environment)
        self._environment = environment

    def ensure(self, values: Mapping[str, str]) -> None:
        """Write the values that are not there; those without a parameter of theirs are left out.

        Raises:
            PublicationError: not all are there.
        """
        found = self._found()
        for key, name in self._names.items():
            if found.get(name) != values[key]:
                self._put(name, values[key])

    def _found(self) -> dict[str, str]:
        answer = self._call("GetParameters", {"Names": list(self._names.values())})
        try:
            return {item["Name"]: item["Value"] for item in answer.get("Parameters") or []}
        except (TypeError, KeyError):
            raise PublicationError("SSM answers GetParameters in a form that is not known") from None

    def _put(self, name: str, value: str) -> None:
        self._call("PutParameter", {"Name": name, "Value": value, "Type": "String", "Overwrite": True})

    def _call(self, action: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        try:
            return call(
                "ssm",
                f"AmazonSSM.{action}",
                arguments,
                self._environment,
                credentials=self._credentials.current(),
                seconds=SECONDS,
            )
        except CredentialsError as error:
            raise PublicationError(str(error)) from None
        except UnreachableError as error:
            raise PublicationError(f"SSM at {error}") from None
        except AwsError as error:
            if error.code in REFUSED_CREDENTIALS:
                self._credentials.forget()
                raise PublicationError(
                    f"SSM does not take the pod's credentials (expired, or the clock is wrong): {error}"
                ) from None
            if error.code in DENIED:
                raise PublicationError(
                    f"the pod's role may not use ssm:{action}; attach the policy DCVRuntimePolicyArn to it"
                ) from None
            raise PublicationError(f"SSM refuses {action}: {error}") from None


class _KeptCredentials:
    """Credentials for some minutes; when new ones cannot be had, the old ones until AWS refuses them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._kept: AwsCredentials | None = None
        self._renew_at = 0.0

    def current(self) -> AwsCredentials:
        """The credentials to sign with.

        Raises:
            CredentialsError: there are none, and none were kept.
        """
        if self._kept is not None and time.monotonic() < self._renew_at:
            return self._kept
        try:
            self._kept = aws_credentials.find(self._environment)
        except CredentialsError:
            if self._kept is None:
                raise
        self._renew_at = time.monotonic() + KEPT_SECONDS
        return self._kept

    def forget(self) -> None:
        """Ask for new ones at the next call."""
        self._kept = None
