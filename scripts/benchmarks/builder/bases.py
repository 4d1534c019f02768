"""The images that everybody builds on, put into the registry without the code under measurement."""

import gzip
import hashlib
import http.client
import io
import json
import random
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from localcloud.errors import LocalCloudError

from ..replication.lab import Registry

MEBIBYTE = 2**20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_APPLETS = ["sh", "cat", "cp", "echo", "id", "ls", "mkdir", "seq", "sleep", "true"]


def push_small(registry: Registry, repository: str) -> str:
    """A system of one program (busybox, statically linked); its reference without the tag `1`."""
    program = shutil.which("busybox")
    if program is None:
        raise LocalCloudError("busybox is missing; install Debian's package busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "srv", "tmp"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        content = Path(program).read_bytes()
        member = tarfile.TarInfo("bin/busybox")
        member.size, member.mode = len(content), 0o755
        tar.addfile(member, io.BytesIO(content))
        for applet in _APPLETS:
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(member)
    layer = buffer.getvalue()
    _push(registry, repository, iter([gzip.compress(layer, mtime=0)]), _digest(layer))
    return f"127.0.0.1:{registry.port}/{repository}"


def push_large(registry: Registry, repository: str, mebibytes: int) -> str:
    """An image of one file `/data` that compression makes no smaller; its reference without the tag."""
    member = tarfile.TarInfo("data")
    member.size = mebibytes * MEBIBYTE
    plain = hashlib.sha256()

    def tar() -> Iterator[bytes]:
        numbers = random.Random(20)  # noqa: S311 - the same content in every run
        yield member.tobuf()
        for _ in range(mebibytes):
            yield numbers.randbytes(MEBIBYTE)
        yield bytes(10240)

    def packed() -> Iterator[bytes]:
        stored = zlib.compressobj(0, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        for chunk in tar():
            plain.update(chunk)
            yield stored.compress(chunk)
        yield stored.flush()

    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=120)
    try:
        layer = _upload(connection, repository, packed())
        _finish(connection, repository, layer, f"sha256:{plain.hexdigest()}")
    finally:
        connection.close()
    return f"127.0.0.1:{registry.port}/{repository}"


def _push(registry: Registry, repository: str, content: Iterator[bytes], diff_id: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=120)
    try:
        _finish(connection, repository, _upload(connection, repository, content), diff_id)
    finally:
        connection.close()


def _finish(
    connection: http.client.HTTPConnection, repository: str, layer: tuple[str, int], diff_id: str
) -> None:
    """Write configuration and manifest of an image of one layer."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "benchmark"}],
        }
    ).encode()
    digest, size = _upload(connection, repository, iter([config]))
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest, "size": size},
        "layers": [{"mediaType": _LAYER, "digest": layer[0], "size": layer[1]}],
    }
    headers = {"Content-Type": _MANIFEST}
    _ask(connection, "PUT", f"/v2/{repository}/manifests/1", json.dumps(manifest).encode(), headers)


def _upload(
    connection: http.client.HTTPConnection, repository: str, content: Iterator[bytes]
) -> tuple[str, int]:
    """Send a blob; its digest and size."""
    checksum, size = hashlib.sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in content:
            checksum.update(chunk)
            size += len(chunk)
            yield chunk

    location = _ask(connection, "POST", f"/v2/{repository}/blobs/uploads/", b"", {})
    location = _ask(connection, "PATCH", location, counted(), {"Content-Type": "application/octet-stream"})
    separator = "&" if "?" in location else "?"
    _ask(connection, "PUT", f"{location}{separator}digest=sha256:{checksum.hexdigest()}", b"", {})
    return f"sha256:{checksum.hexdigest()}", size


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | Iterator[bytes],
    headers: dict[str, str],
) -> str:
    """One request that has to succeed; where it leads."""
    connection.request(method, path, body, headers, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= http.client.BAD_REQUEST:
        raise LocalCloudError(f"the registry answers {method} with {answer.status}: {content[:200]!r}")
    return answer.headers.get("Location", "")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
