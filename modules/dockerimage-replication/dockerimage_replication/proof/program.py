"""The helm that renders: from `helm-distro-url`, else from `PATH`, else none."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..credentials import HelmSecret
from ..lock import LockedHelm
from ..settings import Parameters
from ..shared.errors import UserError
from .distro import HelmDistro, Say, fetch_helm
from .process import HelmError, run_helm

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_OLDEST = 3  # major version; Helm 2 renders otherwise


@dataclass(frozen=True)
class Helm:
    """A helm program.

    Attributes:
        program: the file.
        folder: a folder that ends with it, for whoever runs it.
        identity: its version and where it came from.
    """

    program: Path
    folder: Path
    identity: LockedHelm


def helm_distro(
    parameters: Parameters, secrets: "SecretsManagerClient | None", known: LockedHelm | None
) -> HelmDistro | None:
    """Where the parameters say that Helm is; None when they do not.

    Args:
        parameters: the module's parameters.
        secrets: reads the secret; None where AWS is not asked.
        known: what an earlier run used.
    """
    if parameters.helm_distro_url is None:
        return None
    secret = None
    if secrets is not None and parameters.helm_distro_secret_name:
        secret = HelmSecret(
            secrets,
            parameters.helm_distro_secret_name,
            parameters.helm_distro_secret_key,
            "helm-distro-secret-name",
        )
    return HelmDistro(
        parameters.helm_distro_url, parameters.helm_distro_sha256, secret, parameters.endpoints, known
    )


@asynccontextmanager
async def helm_at_hand(distro: HelmDistro | None, say: Say) -> AsyncIterator[Helm | None]:
    """Helm, in a temporary folder that is removed afterwards; None when there is none.

    Raises:
        UserError: helm cannot be had from the distro, does not run, or is too old.
    """
    with TemporaryDirectory(prefix="helm-") as name:
        folder = Path(name)
        if distro is not None:
            program, digest = await fetch_helm(distro, folder, say)
            identity = LockedHelm(await _version(program, folder), distro.url, digest)
            yield Helm(program, folder, identity)
        elif found := helm_on_path():
            yield Helm(found, folder, LockedHelm(await _version(found, folder)))
        else:
            yield None


def helm_on_path() -> Path | None:
    """The helm on `PATH`."""
    found = shutil.which("helm")
    return Path(found).absolute() if found else None


async def _version(program: Path, folder: Path) -> str:
    home = folder / "version"
    home.mkdir()
    try:
        said = await run_helm(program, ["version", "--template", "{{.Version}}"], home)
    except HelmError as error:
        raise UserError(f"{program.name} does not run: {error}") from None
    version = said.decode(errors="replace").strip()
    major = version.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < _OLDEST:
        raise UserError(f"{program} says that it is helm {version!r}; helm {_OLDEST} or newer is needed")
    return version
