"""Credentials of a run: the account's own registry, and the secret of the private chart and image hosts."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from yarl import URL

from .aws import Aws
from .charts.oci import SCHEME
from .charts.repository import reached
from .datafiles import DataFiles
from .lock import Lock
from .oci.credentials import Credentials
from .oci.endpoints import endpoint_of
from .oci.reference import Reference
from .settings import Parameters
from .shared import ecr
from .shared.endpoints import Endpoints
from .shared.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

_LOGIN_LIFETIME = 11 * 3600  # seconds; ECR's logins last 12 hours (ECR user guide, Private registry)


@dataclass(frozen=True)
class HelmSecret:
    """A secret with `username` and `password`, or with several such entries below one key each.

    Attributes:
        client: reads it.
        name: name or ARN of the secret.
        key: the entry to use; None when the secret itself is the entry.
        parameter: manifest parameter that names the secret, for messages.
    """

    client: "SecretsManagerClient"
    name: str
    key: str | None
    parameter: str = "helm-repo-secret-name"

    def read(self) -> Credentials:
        """Read the secret; messages name it and never quote it.

        Raises:
            UserError: it cannot be read, or has another shape.
        """
        try:
            text = self.client.get_secret_value(SecretId=self.name).get("SecretString", "")
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "?")
            raise self._problem(f"cannot be read: {code}") from None
        entry = self._entry(text)
        username, password = entry.get("username"), entry.get("password")
        if not isinstance(username, str) or not isinstance(password, str):
            where = f" in its entry `{self.key}`" if self.key else ""
            raise self._problem(f"has no texts `username` and `password`{where}")
        return Credentials(username, password)

    def _entry(self, text: str) -> Mapping[str, object]:
        try:
            value = json.loads(text)
        except ValueError:
            raise self._problem("is not JSON") from None
        if self.key and isinstance(value, dict):
            value = value.get(self.key)
        if not isinstance(value, dict):
            entry = f"has no entry `{self.key}`" if self.key else "is not a JSON object"
            raise self._problem(entry)
        return value

    def _problem(self, what: str) -> UserError:
        return UserError(f"the secret `{self.name}` (manifest parameter `{self.parameter}`) {what}")


class RunCredentials:
    """Gives each host its own credentials and no other host any, when the host asks.

    Args:
        ecr_client: gets logins for the account's registry.
        ecr_host: the host that they belong to.
        secret: the secret for private hosts, None without one.
        secret_hosts: the hosts that it belongs to.
    """

    def __init__(
        self,
        ecr_client: "ECRClient",
        ecr_host: str,
        secret: HelmSecret | None,
        secret_hosts: frozenset[str],
    ) -> None:
        self._ecr_client = ecr_client
        self._ecr_host = ecr_host
        self._secret = secret
        self._secret_hosts = secret_hosts
        self._kept: dict[str, tuple[Credentials, float]] = {}

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        """The credentials of `host`, None when it has none; see `oci.credentials.CredentialStore`.

        Raises:
            UserError: the secret or the login cannot be had.
        """
        kept = self._kept.get(host)
        if kept and not refresh and time.monotonic() - kept[1] < _LOGIN_LIFETIME:
            return kept[0]
        if host == self._ecr_host:
            found = await asyncio.to_thread(self._login)
        elif self._secret and host in self._secret_hosts:
            found = await asyncio.to_thread(self._secret.read)
        else:
            return None
        self._kept[host] = (found, time.monotonic())
        return found

    def _login(self) -> Credentials:
        try:
            login = ecr.login(self._ecr_client)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "?")
            raise UserError(f"no login for the account's registry {self._ecr_host}: {code}") from None
        return Credentials(login.username, login.password)


def run_credentials(parameters: Parameters, data: Iterable[DataFiles], aws: Aws) -> RunCredentials:
    """Credentials for the private hosts of data files."""
    hosts = {host for files in data for host in _private_hosts(files, parameters.endpoints)}
    return _credentials(parameters, hosts, aws)


def lock_credentials(parameters: Parameters, lock: Lock, aws: Aws) -> RunCredentials:
    """Credentials for the private hosts of a lock: what a mapping has led to, and chart repositories."""
    endpoints = parameters.endpoints
    mapped = [
        image.address for image in lock.images.values() if str(Reference.parse(image.source)) != image.address
    ]
    addresses = mapped + [chart.address for chart in lock.charts.values() if chart.address]
    registries = (Reference.parse(address).registry for address in addresses)
    hosts = {endpoint_of(endpoints, registry).credential_host for registry in registries}
    hosts |= {_repository_host(chart.repository, endpoints) for chart in lock.charts.values()}
    return _credentials(parameters, hosts, aws)


def _credentials(parameters: Parameters, hosts: set[str], aws: Aws) -> RunCredentials:
    """Credentials by the host that is really reached: an override's host is who asks for them."""
    secret = None
    if parameters.helm_repo_secret_name:
        secret = HelmSecret(aws.secrets, parameters.helm_repo_secret_name, parameters.helm_repo_secret_key)
    ecr_host = endpoint_of(parameters.endpoints, aws.account.ecr_host).credential_host
    return RunCredentials(aws.ecr, ecr_host, secret, frozenset(hosts))


def _private_hosts(data: DataFiles, endpoints: Endpoints) -> set[str]:
    targets = {endpoint_of(endpoints, host).credential_host for host in data.mappings.target_hosts}
    return targets | {_repository_host(workload.repository, endpoints) for workload in data.workloads}


def _repository_host(repository: str, endpoints: Endpoints) -> str:
    if repository.startswith(SCHEME):
        return endpoint_of(endpoints, urlsplit(repository).netloc).credential_host
    return reached(URL(repository), endpoints)[1].credential_host
