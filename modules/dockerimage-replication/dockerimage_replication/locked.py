"""What `verify` and `drift` share: the lock of a deployment, and how the registries in it are reached."""

from dataclasses import dataclass
from pathlib import Path

import boto3

from .aws import Aws
from .credentials import lock_credentials
from .lock import Lock
from .lock_store import LockStore
from .oci.credentials import CredentialStore
from .proof.distro import HelmDistro
from .proof.program import helm_distro
from .settings import ANY_VERSION, Parameters
from .shared.endpoints import Endpoints
from .shared.errors import ParameterError, UserError
from .shared.metadata_bucket import bucket_name
from .shared.settings import SeedFarmerSettings, invalid, read


@dataclass(frozen=True)
class LockOptions:
    """What the command line says; each wins over the environment, and None leaves it as it is.

    Attributes:
        file: the lock itself, in place of that in the metadata bucket.
        project: name of the project.
        deployment: name of the deployment.
        module: SeedFarmer's `{group}-{module}`.
        region: region of bucket and registry.
    """

    file: Path | None = None
    project: str | None = None
    deployment: str | None = None
    module: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Locked:
    """A lock, and what is needed to ask the registries that it names.

    Attributes:
        name: its path or S3 address.
        lock: the lock.
        endpoints: the overrides of the parameters.
        credentials: those of a run; None without AWS.
        distro: where the parameters say that Helm is, None when they do not.
    """

    name: str
    lock: Lock
    endpoints: Endpoints
    credentials: CredentialStore | None
    distro: HelmDistro | None


def open_lock(options: LockOptions) -> Locked:
    """Find and read the lock.

    Raises:
        ParameterError: parameters are missing or wrong, or there are no AWS credentials to find it with.
        UserError: there is no lock.
        LockError: it cannot be read.
    """
    problems: list[str] = []
    parameters = read(Parameters, problems, eks_version=ANY_VERSION)
    seedfarmer = None if options.file else _deployment(options, problems)
    if problems or parameters is None:
        raise invalid(problems)
    aws = _aws(options.region)
    if options.file:
        name, lock = str(options.file), _from_file(options.file)
    elif aws is None or seedfarmer is None:
        raise ParameterError("there are no AWS credentials to read the lock with: name a file with --lock")
    else:
        name, lock = _from_bucket(aws, seedfarmer)
    credentials = lock_credentials(parameters, lock, aws) if aws else None
    distro = helm_distro(parameters, aws.secrets if aws else None, lock.helm)
    return Locked(name, lock, parameters.endpoints, credentials, distro)


def _deployment(options: LockOptions, problems: list[str]) -> SeedFarmerSettings | None:
    given = {
        "project_name": options.project,
        "deployment_name": options.deployment,
        "module_name": options.module,
    }
    return read(SeedFarmerSettings, problems, **{name: value for name, value in given.items() if value})


def _aws(region: str | None) -> Aws | None:
    return Aws.connect(region) if boto3.Session().get_credentials() else None


def _from_file(path: Path) -> Lock:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"the lock {path} cannot be read: {error.strerror}") from None
    return Lock.parse(content, str(path))


def _from_bucket(aws: Aws, seedfarmer: SeedFarmerSettings) -> tuple[str, Lock]:
    bucket = bucket_name(seedfarmer.project_name, aws.account)
    store = LockStore(aws.s3, bucket, seedfarmer.deployment_name, seedfarmer.module_name)
    lock = store.read()
    if lock is None:
        raise UserError(
            f"there is no lock {store}: a successful `apply` writes it; check project, deployment, module "
            "and region, or name a file with --lock"
        )
    return str(store), lock
