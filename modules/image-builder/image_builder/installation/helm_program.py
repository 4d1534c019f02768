"""The helm program: from `helm-distro-url`, else from `PATH`."""

import hashlib
import platform
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx

from ..settings import Parameters
from ..shared.errors import UserError

MAX_ARCHIVE = 200 * 1024 * 1024  # bytes; the public ones have about 20 MB
TIMEOUT = 60.0  # seconds without a byte
_PARAMETER = "manifest parameter `helm-distro-url`"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname(2) -> as Helm's archives call it


@contextmanager
def helm_program(parameters: Parameters) -> Iterator[Path]:
    """The file; a downloaded one is removed afterwards.

    Raises:
        UserError: it cannot be had, or is not what `helm-distro-sha256` says.
    """
    if parameters.helm_distro_url is None:
        found = shutil.which("helm")
        if found is None:
            raise UserError(
                f"{_PARAMETER}: is not set, and there is no `helm` on PATH; `release-to-eks` needs one"
            )
        yield Path(found).absolute()
        return
    with TemporaryDirectory(prefix="helm-") as folder:
        archive = Path(folder) / "helm.tar.gz"
        _download(parameters, archive)
        yield _unpacked(archive, Path(folder) / "helm", parameters.helm_distro_url)


def _download(parameters: Parameters, target: Path) -> None:
    url = str(parameters.helm_distro_url)
    digest = hashlib.sha256()
    size = 0
    try:
        with (
            target.open("wb") as file,
            httpx.stream("GET", _reached(parameters, url), follow_redirects=True, timeout=TIMEOUT) as answer,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > MAX_ARCHIVE:
                    raise UserError(f"{_PARAMETER}: {url} is larger than {MAX_ARCHIVE} bytes")
                digest.update(chunk)
                file.write(chunk)
    except httpx.HTTPStatusError as error:
        raise UserError(f"{_PARAMETER}: {url} answers {error.response.status_code}") from None
    except httpx.HTTPError as error:
        raise UserError(f"{_PARAMETER}: {url} cannot be read: {type(error).__name__}: {error}") from None
    if digest.hexdigest() != parameters.helm_distro_sha256:
        raise UserError(
            f"manifest parameter `helm-distro-sha256`: {url} has the SHA-256 {digest.hexdigest()}, not "
            f"{parameters.helm_distro_sha256}: it is damaged or not the archive that was meant"
        )


def _reached(parameters: Parameters, url: str) -> str:
    """Where the URL is really reached, by `registry-endpoints`."""
    host = urlsplit(url).netloc
    base = parameters.endpoints.overrides.get(host)
    return url if base is None else f"{base.rstrip('/')}{urlsplit(url).path}"


def _unpacked(archive: Path, target: Path, url: str) -> Path:
    machine = platform.machine()
    name = f"linux-{_ARCHITECTURES.get(machine, machine)}/helm"
    try:
        with tarfile.open(archive, "r:gz") as tar:
            content = tar.extractfile(name)
            if content is None:
                raise KeyError(name)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
    except KeyError:
        raise UserError(f"{_PARAMETER}: {url} does not hold {name}, which this machine needs") from None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{_PARAMETER}: {url} is not a .tar.gz that can be read: {error}") from None
    target.chmod(0o700)
    return target
