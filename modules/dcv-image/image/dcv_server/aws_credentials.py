"""The pod's AWS credentials, found anew for each use: what a pod is given is renewed in place.

The order is the SDKs' (AWS SDKs and Tools Reference Guide, "Standardized credential providers"):
environment, web identity (IAM roles for service accounts), container (EKS Pod Identity), instance.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .aws_http import RefusedError, UnreachableError, request

INSTANCE = "http://169.254.169.254"
CONTAINER = "http://169.254.170.2"
INSTANCE_SECONDS = 1.0


class CredentialsError(Exception):
    """There are no usable AWS credentials; the text says which way failed, and why."""


@dataclass(frozen=True)
class AwsCredentials:
    """What requests are signed with."""

    key_id: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False, default="")


def find(environment: Mapping[str, str]) -> AwsCredentials:
    """The credentials that this environment offers.

    Raises:
        CredentialsError: there are none, or they were refused.
    """
    if environment.get("AWS_ACCESS_KEY_ID"):
        return AwsCredentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return _of_web_identity(environment)
    if environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _of_container(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], environment)
    if environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return _of_container(CONTAINER + environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], environment)
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise CredentialsError("there are no AWS credentials: give the pod's service account a role")
    return _of_instance()


def endpoint(service: str, environment: Mapping[str, str]) -> str:
    """Base URL of a service. An override counts (`AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`).

    Raises:
        CredentialsError: the region is not known.
    """
    for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if environment.get(name):
            return environment[name].rstrip("/")
    suffix = "amazonaws.com.cn" if region(environment).startswith("cn-") else "amazonaws.com"
    return f"https://{service}.{region(environment)}.{suffix}"


def region(environment: Mapping[str, str]) -> str:
    """The pod's region.

    Raises:
        CredentialsError: no variable names it.
    """
    found = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not found:
        raise CredentialsError("AWS_REGION is not set: the pod has to name its region")
    return found


def _of_web_identity(environment: Mapping[str, str]) -> AwsCredentials:
    token = _file(environment["AWS_WEB_IDENTITY_TOKEN_FILE"])
    query = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": environment.get("AWS_ROLE_ARN", ""),
        "RoleSessionName": environment.get("AWS_ROLE_SESSION_NAME") or "dcv-image",
        "WebIdentityToken": token,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = request(
            "POST", endpoint("sts", environment), headers, urllib.parse.urlencode(query).encode()
        )
    except UnreachableError as error:
        raise CredentialsError(f"STS gives no credentials: {error}") from None
    except RefusedError as error:
        code = _xml(error.body.decode(errors="replace"), "Code") or str(error)
        raise CredentialsError(f"STS refuses the pod's service account token: {code}") from None
    text = answer.decode(errors="replace")
    found = [_xml(text, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    if not all(found):
        raise CredentialsError("STS answered without credentials")
    return AwsCredentials(*found)


def _of_container(url: str, environment: Mapping[str, str]) -> AwsCredentials:
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = _file(environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    headers = {"Authorization": token} if token else {}
    try:
        return _of_json(request("GET", url, headers, proxied=False))
    except (UnreachableError, RefusedError) as error:
        raise CredentialsError(f"the pod identity agent gives no credentials: {error}") from None


def _of_instance() -> AwsCredentials:
    base = f"{INSTANCE}/latest"
    try:
        token = request(
            "PUT",
            f"{base}/api/token",
            {"X-aws-ec2-metadata-token-ttl-seconds": "60"},
            b"",
            proxied=False,
            seconds=INSTANCE_SECONDS,
        ).decode()
        headers = {"X-aws-ec2-metadata-token": token}
        roles = f"{base}/meta-data/iam/security-credentials/"
        role = request("GET", roles, headers, proxied=False).decode().split()[0]
        return _of_json(request("GET", roles + role, headers, proxied=False))
    except (UnreachableError, RefusedError, IndexError, UnicodeDecodeError):
        raise CredentialsError(
            "there are no AWS credentials: give the pod's service account a role (the instance's own role "
            "cannot be asked for either)"
        ) from None


def _of_json(body: bytes) -> AwsCredentials:
    try:
        answer = json.loads(body)
        return AwsCredentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("Token", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CredentialsError("the provider of AWS credentials answered without credentials") from None


def _file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"the token {path} cannot be read: {error}") from None


def _xml(text: str, name: str) -> str:
    """The text of the first element of that name: STS answers XML, whose values here hold no markup."""
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    return found.group(1).strip() if found else ""
