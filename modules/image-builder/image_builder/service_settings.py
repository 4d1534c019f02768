"""Settings of the service, read once from the environment.

Every variable can also be given as `NAME_FILE`: the path of a file that holds the value, which is how
container platforms mount secrets. Nothing here is named `DCRX_KV_PORT` or `DCRX_KV_SERVICE_…`: Kubernetes
sets these for a service called `dcrx-kv`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from .building.settings import Limits
from .database.address import DatabaseAddress, parse_database_uri
from .durations import parse_duration
from .layers.request import Registry
from .shared.endpoints import Endpoints
from .shared.errors import ParameterError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where every pod has its own
MIN_SECRET_BYTES = 32  # RFC 7518, 3.2: a key for HS256 has at least the size of its hash
_PREFIX = "DCRX_KV_"

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: _names(value))]
Duration = Annotated[timedelta, BeforeValidator(lambda value: _duration(value))]


@dataclass(frozen=True)
class ClusterPlace:
    """Where builds become Jobs.

    Attributes:
        template: file with the Job that all are made from.
        namespace: of the Jobs.
        host: of the API server.
        port: of the API server.
        credentials: folder with `token` and `ca.crt`.
        owner: ConfigMap of the namespace with which the Jobs go.
    """

    template: Path
    namespace: str
    host: str
    port: int
    credentials: Path
    owner: str | None


class ServiceSettings(BaseModel):
    """What the environment says about the service; the field's alias is the variable."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    max_memory_percent_usage: float = Field(50, gt=0, le=100, alias="DCRX_KV_MAX_MEMORY_PERCENT_USAGE")
    max_request_bytes: int = Field(32 * 1024 * 1024, ge=1024, alias="DCRX_KV_MAX_REQUEST_BYTES")

    job_prune_interval: Duration = Field(timedelta(seconds=1), alias="DCRX_KV_JOB_PRUNE_INTERVAL")
    job_max_age: Duration = Field(timedelta(minutes=1), alias="DCRX_KV_JOB_MAX_AGE")
    job_record_age: Duration = Field(timedelta(days=90), alias="DCRX_KV_JOB_RECORD_AGE")
    job_pool_size: int = Field(10, ge=1, le=1000, alias="DCRX_KV_JOB_POOL_SIZE")
    job_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024, alias="DCRX_KV_JOB_WORKERS"
    )
    job_max_pending: int = Field(1000, ge=1, alias="DCRX_KV_JOB_MAX_PENDING")
    job_max_attempts: int = Field(5, ge=1, le=100, alias="DCRX_KV_JOB_MAX_ATTEMPTS")
    job_timeout: Duration = Field(timedelta(minutes=30), alias="DCRX_KV_JOB_TIMEOUT")
    job_lease: Duration = Field(timedelta(seconds=15), alias="DCRX_KV_JOB_LEASE")

    builds: Literal["local", "kubernetes"] = Field("local", alias="DCRX_KV_BUILDS")
    cluster_job_template: Path | None = Field(None, alias="DCRX_KV_CLUSTER_JOB_TEMPLATE")
    cluster_namespace: str | None = Field(None, alias="DCRX_KV_CLUSTER_NAMESPACE")
    cluster_max_jobs: int = Field(50, ge=1, le=10_000, alias="DCRX_KV_CLUSTER_MAX_JOBS")
    cluster_start_timeout: Duration = Field(timedelta(minutes=10), alias="DCRX_KV_CLUSTER_START_TIMEOUT")
    cluster_credentials: Path = Field(SERVICE_ACCOUNT, alias="DCRX_KV_CLUSTER_CREDENTIALS")
    cluster_owner: str | None = Field(None, min_length=1, alias="DCRX_KV_CLUSTER_OWNER")
    cluster_host: str | None = Field(None, alias="KUBERNETES_SERVICE_HOST")
    cluster_port: int = Field(443, ge=1, le=65535, alias="KUBERNETES_SERVICE_PORT")

    development: bool = Field(False, alias="DCRX_KV_DEVELOPMENT")
    secret_key: SecretStr = Field(alias="DCRX_KV_SECRET_KEY")
    encryption_keys: SecretStr | None = Field(None, alias="DCRX_KV_ENCRYPTION_KEY")
    auth_algorithm: Literal["HS256", "HS384", "HS512"] = Field("HS256", alias="DCRX_KV_AUTH_ALGORITHM")
    token_expiration: Duration = Field(timedelta(minutes=15), alias="DCRX_KV_TOKEN_EXPIRATION")

    database_type: Literal["sqlite", "mysql", "asyncpg"] = Field("sqlite", alias="DCRX_KV_DATABASE_TYPE")
    database_user: str | None = Field(None, alias="DCRX_KV_DATABASE_USER")
    database_password: SecretStr | None = Field(None, alias="DCRX_KV_DATABASE_PASSWORD")
    database_name: str = Field("dcrx", min_length=1, alias="DCRX_KV_DATABASE_NAME")
    database_host: str = Field("localhost", min_length=1, alias="DCRX_KV_DATABASE_HOST")
    database_port: int | None = Field(None, ge=1, le=65535, alias="DCRX_KV_DATABASE_PORT")
    database_uri: SecretStr | None = Field(None, alias="DCRX_KV_DATABASE_URI")
    database_patience: Duration = Field(timedelta(seconds=40), alias="DCRX_KV_DATABASE_PATIENCE")

    admin_username: str | None = Field(None, alias="DCRX_KV_ADMIN_USERNAME")
    admin_password: SecretStr | None = Field(None, alias="DCRX_KV_ADMIN_PASSWORD")

    registry_uri: str | None = Field(None, alias="DOCKER_REGISTRY_URI")
    registry_username: str | None = Field(None, alias="DOCKER_REGISTRY_USERNAME")
    registry_password: SecretStr | None = Field(None, alias="DOCKER_REGISTRY_PASSWORD")

    work_dir: Path = Field(Path("/tmp/image-builder/work"), alias="DCRX_KV_WORK_DIR")  # noqa: S108
    cache_dir: Path = Field(Path("/tmp/image-builder/cache"), alias="DCRX_KV_CACHE_DIR")  # noqa: S108
    cache_bytes: int = Field(20 * 1024**3, ge=0, alias="DCRX_KV_CACHE_BYTES")
    upload_dir: Path = Field(Path("/tmp/image-builder/uploads"), alias="DCRX_KV_UPLOAD_DIR")  # noqa: S108
    upload_user_bytes: int = Field(20 * 1024**3, ge=0, alias="DCRX_KV_UPLOAD_USER_BYTES")
    upload_total_bytes: int = Field(50 * 1024**3, ge=0, alias="DCRX_KV_UPLOAD_TOTAL_BYTES")
    upload_age: Duration = Field(timedelta(days=1), alias="DCRX_KV_UPLOAD_AGE")
    bases: Json[dict[str, str]] = Field({}, alias="DCRX_KV_BASES")
    inventory: str | None = Field(None, min_length=1, alias="DCRX_KV_INVENTORY")
    ecr_tags: Json[dict[str, str]] = Field({}, alias="DCRX_KV_ECR_TAGS")
    registry_endpoints: str = Field("{}", alias="DCRX_KV_REGISTRY_ENDPOINTS")
    allowed_hosts: Names = Field((), alias="DCRX_KV_ALLOWED_HOSTS")
    build_memory_bytes: int = Field(Limits.memory, ge=1, alias="DCRX_KV_BUILD_MEMORY_BYTES")
    build_disk_bytes: int = Field(Limits.disk, ge=1, alias="DCRX_KV_BUILD_DISK_BYTES")
    build_network: Literal["none", "service"] = Field("none", alias="DCRX_KV_BUILD_NETWORK")

    @field_validator("registry_uri")
    @classmethod
    def _registry_is_valid(cls, value: str | None) -> str | None:
        try:
            return value and Registry(registry_url=value).registry_url
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

    @field_validator("registry_endpoints")
    @classmethod
    def _endpoints_are_valid(cls, value: str) -> str:
        Endpoints.from_json(value)
        return value

    @model_validator(mode="after")
    def _secrets_are_strong(self) -> "ServiceSettings":
        if self.development:
            return self
        named = [("DCRX_KV_SECRET_KEY", self.secret_key.get_secret_value())]
        named += [("DCRX_KV_ENCRYPTION_KEY", key) for key in self.listed_encryption_keys]
        for name, secret in named:
            if len(secret.encode()) < MIN_SECRET_BYTES:
                raise ValueError(
                    f"{name} must have at least {MIN_SECRET_BYTES} bytes (`openssl rand -hex 32` makes one); "
                    "DCRX_KV_DEVELOPMENT=true allows a shorter one where nothing has to be protected"
                )
        return self

    @model_validator(mode="after")
    def _the_database_can_be_addressed(self) -> "ServiceSettings":
        _ = self.database
        return self

    @model_validator(mode="after")
    def _the_cluster_can_build(self) -> "ServiceSettings":
        if self.builds == "kubernetes":
            _ = self.cluster
            if self.database.is_sqlite:
                raise ValueError(
                    "DCRX_KV_DATABASE_TYPE must be asyncpg or mysql when DCRX_KV_BUILDS is kubernetes: "
                    "pods share no file with the service"
                )
        return self

    @property
    def cluster(self) -> "ClusterPlace":
        """Where builds become Jobs.

        Raises:
            ValueError: something of it is not set.
        """
        template, namespace, host = self.cluster_job_template, self.cluster_namespace, self.cluster_host
        if template is None or namespace is None or host is None:
            needed = {
                "DCRX_KV_CLUSTER_JOB_TEMPLATE": template,
                "DCRX_KV_CLUSTER_NAMESPACE": namespace,
                "KUBERNETES_SERVICE_HOST": host,
            }
            missing = ", ".join(name for name, value in needed.items() if value is None)
            raise ValueError(f"{missing} must be set when DCRX_KV_BUILDS is kubernetes")
        return ClusterPlace(
            template, namespace, host, self.cluster_port, self.cluster_credentials, self.cluster_owner
        )

    @property
    def listed_encryption_keys(self) -> list[str]:
        """The keys of DCRX_KV_ENCRYPTION_KEY: the first encrypts, all of them decrypt."""
        if self.encryption_keys is None:
            return []
        return [key.strip() for key in self.encryption_keys.get_secret_value().split(",") if key.strip()]

    @property
    def registry(self) -> Registry | None:
        """The service's own registry, for requests that name none."""
        if self.registry_uri is None:
            return None
        return Registry(
            registry_url=self.registry_uri,
            registry_user=self.registry_username,
            registry_password=self.registry_password,
        )

    @property
    def database(self) -> DatabaseAddress:
        """Where the database is: DCRX_KV_DATABASE_URI if it is given, else the single settings."""
        if self.database_uri is not None:
            return parse_database_uri(self.database_uri.get_secret_value())
        password = self.database_password.get_secret_value() if self.database_password else None
        return DatabaseAddress.of(
            self.database_type,
            name=self.database_name,
            user=self.database_user,
            password=password,
            host=self.database_host,
            port=self.database_port,
        )


def read_settings(environment: Mapping[str, str]) -> ServiceSettings:
    """The settings that the environment has.

    Raises:
        ParameterError: every variable that is missing or wrong, by name, without its value.
    """
    problems: list[str] = []
    values = _values(environment, problems)
    try:
        settings = ServiceSettings(**values)
    except ValidationError as error:
        problems += [_problem(item["loc"], item["msg"]) for item in error.errors(include_input=False)]
    else:
        if not problems:
            return settings
    raise ParameterError("the service's settings are not complete or not valid:\n" + "\n".join(problems))


def variables() -> list[str]:
    """The names of all variables that the service reads."""
    return [str(field.alias) for field in ServiceSettings.model_fields.values()]


def _values(environment: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values = {}
    for field in ServiceSettings.model_fields.values():
        name = str(field.alias)
        value = _value(name, environment, problems)
        if value is not None:
            values[name] = value if "Secret" in str(field.annotation) else _plain(value)
    return values


def _value(name: str, environment: Mapping[str, str], problems: list[str]) -> str | None:
    given, path = environment.get(name) or None, environment.get(f"{name}_FILE") or None
    if given is not None and path is not None:
        problems.append(f"  - {name} and {name}_FILE are both given: give one of them")
        return given
    if path is None:
        return given
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"  - {name}_FILE: the file {path} cannot be read: {_why(error)}")
        return None


def _why(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "it is no text"


def _plain(value: str) -> str:
    """Without the quotes and the comment that `docker run --env-file` leaves in a value."""
    text = value.split(" #")[0].strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _names(value: object) -> object:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _problem(location: tuple[int | str, ...], message: str) -> str:
    reason = {"Field required": "is required and not set"}.get(message, message.removeprefix("Value error, "))
    return f"  - {location[0]}: {reason}" if location else f"  - {reason}"
