"""Makes a saved image (`docker save`) independent of when, where and by whom it was built.

What the base image has stays as it is, byte for byte. In what was built on it, no time is later than
the base's own, and the builder's traces (host name, identifiers of intermediate images) are gone. So
two builds of the same inputs have the same digest, whatever the engine's age: an older one knows no
SOURCE_DATE_EPOCH.
"""

import gzip
import hashlib
import io
import json
import posixpath
import shutil
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..shared.errors import UserError
from .build_context import TIMESTAMP
from .engine import LocalImage
from .layer import CHUNK, clamp_times

GZIP_MAGIC = b"\x1f\x8b"
# Written by builders, about themselves (Docker image specification v1.2, "Image JSON Description").
_BUILDERS_KEYS = ("container", "container_config", "docker_version", "parent", "id")
_BUILDERS_CONFIG_KEYS = ("Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr")


def normalise(saved: Path, base: LocalImage, reference: str, target: BinaryIO) -> None:
    """Write the saved image without what depends on the build's time and machine, for `docker load`.

    Args:
        saved: what the engine saved; one image.
        base: what the image was built on.
        reference: name and tag that the engine gives it when it loads it.
        target: where the archive is written; not seeked in.

    Raises:
        UserError: the image was not built on the base.
    """
    with tarfile.open(saved) as archive, tarfile.open(fileobj=target, mode="w|") as output:
        _Rewriting(archive, output, base).run(reference)


@dataclass(frozen=True)
class _Rewriting:
    archive: tarfile.TarFile
    output: tarfile.TarFile
    base: LocalImage

    def run(self, reference: str) -> None:
        (manifest,) = json.loads(self._read("manifest.json"))
        config = json.loads(self._read(manifest["Config"]))
        before = config["rootfs"]["diff_ids"]
        if tuple(before[: len(self.base.layers)]) != self.base.layers:
            raise UserError(
                f"the image was not built on {self.base.reference}: the Dockerfile's last stage must begin "
                "with `FROM ${BASE_IMAGE}`"
            )
        layers = self._layers(manifest["Layers"], config)
        text = json.dumps(self._config(config, layers), sort_keys=True).encode()
        config_name = f"{hashlib.sha256(text).hexdigest()}.json"
        self._add(config_name, text)
        names = [_layer_name(layer) for layer in layers]
        loaded = [{"Config": config_name, "RepoTags": [reference], "Layers": names}]
        self._add("manifest.json", json.dumps(loaded).encode())

    def _layers(self, names: list[str], config: dict[str, Any]) -> list[str]:
        """Write all layers; their diff IDs."""
        copied = _copied_layers(config)
        written: list[str] = []
        for index, name in enumerate(names):
            with tempfile.TemporaryFile() as file:
                content = cast("BinaryIO", file)
                if index < len(self.base.layers):
                    layer = self.base.layers[index]
                    with closing(self._open(name)) as source:
                        shutil.copyfileobj(source, content, CHUNK)
                else:
                    with closing(self._open(name)) as source:
                        layer = clamp_times(source, content, self._time, copied[index])
                if layer not in written:
                    self._add_file(_layer_name(layer), content)
                written.append(layer)
        return written

    @property
    def _time(self) -> int:
        """The base's time, unless its maker set it to none."""
        return max(int(self.base.created.timestamp()), TIMESTAMP)

    def _config(self, config: dict[str, Any], layers: list[str]) -> dict[str, Any]:
        time = datetime.fromtimestamp(self._time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kept = {key: value for key, value in config.items() if key not in _BUILDERS_KEYS}
        run = {key: value for key, value in config["config"].items() if key not in _BUILDERS_CONFIG_KEYS}
        history = [
            step if index < self.base.history else {**step, "created": time}
            for index, step in enumerate(config["history"])
        ]
        rootfs = {"type": "layers", "diff_ids": layers}
        return {**kept, "config": run, "created": time, "history": history, "rootfs": rootfs}

    def _read(self, name: str) -> bytes:
        with closing(self._open(name)) as file:
            return file.read()

    def _open(self, name: str) -> BinaryIO:
        """A member's content, uncompressed; a layer that occurs twice is a link to the first."""
        member = self.archive.getmember(name)
        while member.issym():
            name = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
            member = self.archive.getmember(name)
        file = cast("IO[bytes]", self.archive.extractfile(member))
        compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        return cast("BinaryIO", gzip.open(file) if compressed else file)

    def _add(self, name: str, content: bytes) -> None:
        self._add_file(name, io.BytesIO(content))

    def _add_file(self, name: str, content: BinaryIO) -> None:
        member = tarfile.TarInfo(name)
        member.size = content.seek(0, io.SEEK_END)
        content.seek(0)
        self.output.addfile(member, content)


def _copied_layers(config: dict[str, Any]) -> list[bool]:
    """For each layer, whether a COPY or ADD made it.

    A builder that finds such a step in its cache may take files of another checkout, which are equal
    but for their times.
    """
    steps = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
    words = [step.removeprefix("/bin/sh -c #(nop) ").split(maxsplit=1)[:1] for step in steps]
    copied = [word in (["COPY"], ["ADD"]) for word in words]
    return copied + [False] * (len(config["rootfs"]["diff_ids"]) - len(copied))


def _layer_name(diff_id: str) -> str:
    return f"{diff_id.partition(':')[2]}.tar"
