"""A real registry on loopback, and a small image in it."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .database_servers import free_port

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_APPLETS = ("sh", "busybox", "echo", "sleep", "dd", "cat")
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@contextmanager
def docker_registry(folder: Path, htpasswd: str = "") -> Iterator[str]:
    """Debian's docker-registry; gives its `host:port`. `htpasswd` says who may use it."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    with subprocess.Popen(
        [program, "serve", str(folder / "config.yml")], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        log = iter(process.stderr)
        try:
            assert any("listening on" in line for line in log), "the registry did not start"
            drain = threading.Thread(target=lambda: sum(1 for _ in log))
            drain.start()
            yield address
        finally:
            process.terminate()
        drain.join()


def push_small_image(registry: str, repository: str, tag: str, *, programs: bool = False) -> None:
    """An image of one file, for others to stand on; with `programs` commands can be run in it."""
    files = {"etc/os-release": b"ID=small\n"}
    if programs:
        busybox = shutil.which("busybox")
        assert busybox, "needs busybox (Debian's package busybox-static)"
        files |= {"usr/bin/busybox": Path(busybox).read_bytes()}
    layer = _tar(files, {f"bin/{name}": "/usr/bin/busybox" for name in _APPLETS if programs})
    packed = gzip.compress(layer, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/bin:/bin" if programs else "PATH=/usr/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"}],
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
        "layers": [{"mediaType": _LAYER, "digest": _digest(packed), "size": len(packed)}],
    }
    with httpx.Client(base_url=f"http://{registry}/v2/{repository}") as http:
        for blob in (packed, config):
            location = http.post("/blobs/uploads/").headers["location"]
            put = http.put(location, params=_parameters(location, blob), content=blob)
            assert put.status_code == 201, put.text
        headers = {"Content-Type": _MANIFEST}
        done = http.put(f"/manifests/{tag}", content=json.dumps(manifest), headers=headers)
        assert done.status_code == 201, done.text


def image_config(
    registry: str, repository: str, reference: str, auth: tuple[str, str] | None = None
) -> tuple[str, dict[str, Any]]:
    """Digest and configuration of an image as the registry has it."""
    with httpx.Client(base_url=f"http://{registry}/v2/{repository}", auth=auth) as http:
        manifest = http.get(f"/manifests/{reference}", headers={"Accept": _MANIFEST})
        assert manifest.status_code == 200, manifest.text
        config = http.get(f"/blobs/{manifest.json()['config']['digest']}").json()
    return manifest.headers["docker-content-digest"], config


def pushed_digests(folder: Path, repository: str) -> set[str]:
    """Every manifest that was ever pushed into a repository of a registry in this folder."""
    revisions = folder / f"data/docker/registry/v2/repositories/{repository}/_manifests/revisions/sha256"
    return {f"sha256:{path.name}" for path in revisions.iterdir()} if revisions.exists() else set()


def _parameters(location: str, blob: bytes) -> dict[str, str]:
    return {**httpx.URL(location).params, "digest": _digest(blob)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tar(files: dict[str, bytes], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(member)
    return buffer.getvalue()
