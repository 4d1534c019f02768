"""Signed calls of AWS services that speak JSON (Secrets Manager, Systems Manager).

The signature is Signature Version 4 (IAM User Guide, "Create a signed AWS API request").
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from .aws_credentials import AwsCredentials, endpoint, find, region
from .aws_http import SECONDS, RefusedError, request

ALGORITHM = "AWS4-HMAC-SHA256"


class AwsError(Exception):
    """AWS refused a call."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


def call(
    service: str,
    target: str,
    arguments: Mapping[str, object],
    environment: Mapping[str, str],
    *,
    credentials: AwsCredentials | None = None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """The answer of one operation, such as `secretsmanager.GetSecretValue` of `secretsmanager`.

    `credentials`: of a caller that keeps them between calls; found for this call when there are none.

    Raises:
        CredentialsError: there are no credentials to sign with.
        UnreachableError: the service did not answer.
        AwsError: the service refused; its code says why.
    """
    url = endpoint(service, environment)
    body = json.dumps(arguments).encode()
    headers = signed_headers(
        url, service, region(environment), target, body, credentials or find(environment), time.gmtime()
    )
    try:
        answer = request("POST", url, headers, body, seconds=seconds)
    except RefusedError as error:
        raise _refusal(error) from None
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AwsError("UnreadableAnswer", f"{service} answered no JSON object")
    return found


def signed_headers(
    url: str,
    service: str,
    region_name: str,
    target: str,
    body: bytes,
    credentials: AwsCredentials,
    now: time.struct_time,
) -> dict[str, str]:
    """All headers of a POST to the root of a service, with its signature."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", now)
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urllib.parse.urlsplit(url).netloc,
        "x-amz-date": stamp,
        "x-amz-target": target,
    }
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join(["POST", "/", "", lines, names, _hash(body)])
    scope = f"{stamp[:8]}/{region_name}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, stamp, scope, _hash(canonical.encode())])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _refusal(error: RefusedError) -> AwsError:
    try:
        answer = json.loads(error.body)
        code = str(answer.get("__type") or answer.get("code") or error).rsplit("#", 1)[-1]
        return AwsError(code, str(answer.get("message") or answer.get("Message") or ""))
    except (ValueError, AttributeError):
        return AwsError(f"HTTPStatus{error.status}", "")
