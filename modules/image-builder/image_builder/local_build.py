"""`image-builder build --local`: builds here, without a service and without a database."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .building import BuildContext, BuildError, BuildSettings, Phase, build
from .layers.request import ImageRequest, Registry, problems
from .shared.endpoints import Endpoints
from .shared.errors import ParameterError, UserError


def build_here(request: dict[str, Any]) -> int:
    """Build and push an image, and print its name by digest.

    The registry is the request's, or that of DOCKER_REGISTRY_URI.

    Raises:
        ParameterError: the request is wrong.
        UserError: the build fails.
    """
    try:
        checked = ImageRequest.model_validate(request)
        registry = _registry()
    except ValidationError as error:
        raise ParameterError("the request is not valid:\n" + "\n".join(problems(error))) from None
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "image-builder"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="image-builder-") as work:
        settings = BuildSettings(
            work=Path(work),
            cache=cache,
            registry=registry,
            endpoints=Endpoints.from_json(os.environ.get("DCRX_KV_REGISTRY_ENDPOINTS", "{}")),
            # Who runs this reaches the network anyway.
            allowed_hosts=frozenset(filter(None, [_host(checked.registry), _host(registry)])),
            network="service",
        )
        return asyncio.run(_build(checked, settings))


async def _build(request: ImageRequest, settings: BuildSettings) -> int:
    context = BuildContext(on_phase=_show_phase)
    try:
        result = await build(request, settings, context, _show_line, asyncio.Event())
    except BuildError as error:
        raise UserError(str(error)) from None
    print(f"{result.reference.rpartition(':')[0]}@{result.digest}")
    return 0


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
