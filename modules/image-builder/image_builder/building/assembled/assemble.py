"""An image put together: configuration, layer and manifest, with nothing run and nothing unpacked."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...layers.dockerfile import AnyLayer, instruction, without_query
from ...layers.models import Add, Copy, Run, Workdir
from ...oci.digest import digest_of
from ...oci.manifests import DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, parse_manifest
from ..bases import CONFIG_LIMIT, Base
from ..errors import LimitExceededError
from ..times import as_text
from .layer import WrittenLayer
from .runtime import Runtime

_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
# What the OCI's configuration has no field for, so that tools read it in Docker's format only.
_DOCKER_ONLY = ("Healthcheck", "OnBuild", "Shell")
# Of the container in which a base was built.
_NOT_OURS = ("container", "container_config", "docker_version", "id", "parent", "throwaway")


@dataclass(frozen=True)
class AssembledImage:
    """An image that is not in a registry yet.

    Attributes:
        manifest: its manifest.
        config: bytes of its configuration.
        config_descriptor: what the manifest calls it.
        layers: the layers that the base has not, each with what the manifest calls it.
    """

    manifest: Manifest
    config: bytes
    config_descriptor: Descriptor
    layers: tuple[tuple[WrittenLayer, Descriptor], ...]

    @property
    def size(self) -> int:
        """Bytes of manifest, configuration and layers."""
        return len(self.manifest.raw) + sum(blob.size for blob in self.manifest.blobs)


def assemble(
    base: Base,
    runtime: Runtime,
    layers: Sequence[AnyLayer],
    new: Sequence[WrittenLayer],
    time: int,
) -> AssembledImage:
    """Put an image together.

    Args:
        base: what it stands on.
        runtime: its configuration.
        layers: the request's layers of its last stage, for its history.
        new: what it has on top of the base, from the lowest.
        time: seconds since 1970 that it bears.

    Raises:
        LimitExceededError: its configuration is larger than one of a base may be.
    """
    docker = any(runtime.config.get(key) for key in _DOCKER_ONLY)
    config = _encoded(_config(base, runtime, layers, new, time))
    if len(config) > CONFIG_LIMIT:
        raise LimitExceededError(
            f"layers: the image's configuration has {len(config)} bytes, not {CONFIG_LIMIT}"
        )
    described = Descriptor(_DOCKER_CONFIG if docker else OCI_CONFIG, digest_of(config), len(config))
    own = tuple((layer, Descriptor(_layer_type("+gzip", docker), layer.digest, layer.size)) for layer in new)
    inherited = [
        Descriptor(_layer_type(_suffix(blob), docker), blob.digest, blob.size) for blob in base.layers
    ]
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    value = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _entry(described),
        "layers": [_entry(blob) for blob in [*inherited, *(described for _, described in own)]],
    }
    manifest = parse_manifest(_encoded(value), content_type=media_type, subject="the assembled image")
    return AssembledImage(manifest, config, described, own)


def _config(
    base: Base, runtime: Runtime, layers: Sequence[AnyLayer], new: Sequence[WrittenLayer], time: int
) -> dict[str, Any]:
    config = {key: value for key, value in copy.deepcopy(dict(base.config)).items() if key not in _NOT_OURS}
    if base.reference is None:
        system, architecture, *variant = base.platform.split("/")
        config = {"os": system, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
    inherited = (config.get("rootfs") or {}).get("diff_ids", [])
    config["rootfs"] = {"type": "layers", "diff_ids": [*inherited, *(layer.diff_id for layer in new)]}
    config["config"] = runtime.config
    config["created"] = as_text(time)
    if runtime.author is not None:
        config["author"] = runtime.author
    config["history"] = [*(config.get("history") or []), *_history(layers, len(new), time)]
    return config


def _history(layers: Sequence[AnyLayer], new: int, time: int) -> list[dict[str, Any]]:
    """One entry for each layer of the request; all its files are in the layer of the last that has some.

    What a stage below has put there comes first: a history has as many entries with files as there are
    layers.
    """
    entries: list[dict[str, Any]] = [
        {
            "created": as_text(time),
            "created_by": instruction(without_query(each), {}, ["/bin/sh", "-c"]),
            "empty_layer": True,
        }
        for each in layers
    ]
    with_files = [n for n, each in enumerate(layers) if isinstance(each, Copy | Add | Run | Workdir)]
    if with_files and new:
        del entries[with_files[-1]]["empty_layer"]
        new -= 1
    return [{"created": as_text(time), "created_by": "a stage below"}] * new + entries


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _entry(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def _layer_type(suffix: str, docker: bool) -> str:
    return f"{_DOCKER_LAYER}{suffix.replace('+', '.')}" if docker else f"{_OCI_LAYER}{suffix}"


def _suffix(blob: Descriptor) -> str:
    for suffix in ("gzip", "zstd"):
        if blob.media_type.endswith(suffix):
            return f"+{suffix}"
    return ""
