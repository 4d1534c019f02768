"""`image-builder build --local`: builds here, without a service and without a database."""

import asyncio
import os
import shutil
import signal
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .building import BuildContext, BuildError, BuildSettings, Phase, build
from .client.files import LocalFileError, with_local_files
from .layers.local_files import digest_of_file
from .layers.request import ImageRequest, Registry, problems
from .locks import left_overs, own_folder
from .shared.endpoints import Endpoints
from .shared.errors import ParameterError, UserError

_FILES = "files-"


def build_here(request: dict[str, Any], beside: Path) -> int:
    """Build and push an image, and print its name by digest.

    The registry is the request's, or that of DOCKER_REGISTRY_URI.

    Args:
        request: what to build.
        beside: folder that paths of files are relative to.

    Raises:
        ParameterError: the request is wrong.
        UserError: the build fails.
    """
    work = _work_folder()
    files = own_folder(work, _FILES)
    try:
        return _built_with(files.path, request, beside, work)
    except LocalFileError as error:
        raise ParameterError(str(error)) from None
    finally:
        shutil.rmtree(files.path, ignore_errors=True)
        files.release()


def _built_with(files: Path, request: dict[str, Any], beside: Path, work: Path) -> int:
    try:
        checked = ImageRequest.model_validate(with_local_files(request, beside, lambda p: _linked(files, p)))
        registry = _registry()
    except ValidationError as error:
        raise ParameterError("the request is not valid:\n" + "\n".join(problems(error))) from None
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "image-builder"
    cache.mkdir(parents=True, exist_ok=True)
    settings = BuildSettings(
        work=work,
        cache=cache,
        registry=registry,
        endpoints=Endpoints.from_json(os.environ.get("DCRX_KV_REGISTRY_ENDPOINTS", "{}")),
        # Who runs this reaches the network anyway.
        allowed_hosts=frozenset(filter(None, [_host(checked.registry), _host(registry)])),
        network="service",
    )
    return asyncio.run(_build(checked, settings, BuildContext(files, _show_phase)))


async def _build(request: ImageRequest, settings: BuildSettings, context: BuildContext) -> int:
    """Build until the end, or until a signal asks for one: then nothing of it is left."""
    ended = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signal_, ended.set)
    try:
        result = await build(request, settings, context, _show_line, ended)
    except BuildError as error:
        raise UserError(str(error)) from None
    print(f"{result.reference.rpartition(':')[0]}@{result.digest}")
    return 0


def _work_folder() -> Path:
    """The folder of all local builds of this user, without what killed ones have left.

    Raises:
        UserError: it is somebody else's.
    """
    folder = Path(tempfile.gettempdir()) / f"image-builder-{os.getuid()}"
    folder.mkdir(mode=0o711, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else: set TMPDIR to a folder of your own")
    for left in left_overs(folder, _FILES):
        shutil.rmtree(left, ignore_errors=True)
    return folder


def _linked(files: Path, path: Path) -> str:
    """Have a file among those that were uploaded; its digest."""
    digest = digest_of_file(path)
    link = files / digest.partition(":")[2]
    link.unlink(missing_ok=True)
    link.symlink_to(path.absolute())
    return digest


def _registry() -> Registry | None:
    uri = os.environ.get("DOCKER_REGISTRY_URI")
    if not uri:
        return None
    return Registry.model_validate(
        {
            "registry_url": uri,
            "registry_user": os.environ.get("DOCKER_REGISTRY_USERNAME") or None,
            "registry_password": os.environ.get("DOCKER_REGISTRY_PASSWORD") or None,
        }
    )


def _host(registry: Registry | None) -> str | None:
    return registry.prefix.partition("/")[0] if registry else None


def _show_phase(phase: Phase) -> None:
    print(f"── {phase.value}", file=sys.stderr, flush=True)


def _show_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
