"""What the tests build on and look at: a real registry, a small base, and images as file trees."""

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from image_builder.building import BuildContext, Builder, BuildResult, BuildSettings, Phase
from image_builder.building.settings import Limits
from image_builder.layers.image import Image
from image_builder.layers.request import ImageRequest, Registry
from image_builder.oci.digest import digest_of
from image_builder.oci.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

CREATED = "2024-05-06T07:08:09.123456789Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_ACCEPT = ", ".join([OCI_MANIFEST, OCI_INDEX, "application/vnd.docker.distribution.manifest.v2+json"])
_APPLETS = "sh cat cp echo id ls mkdir sleep dd yes head ps seq touch rm test true false stat"
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:an app:/home/app:/bin/sh\n"
_GROUP = b"root:x:0:\nstaff:x:50:\napp:x:1001:\n"


@contextmanager
def docker_registry(folder: Path, htpasswd: str | None = None) -> Iterator[str]:
    """Run Debian's docker-registry on loopback; gives its `host:port`."""
    program = shutil.which("docker-registry")
    assert program, "needs docker-registry (Debian's package of that name)"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(configuration))
    environment = {"PATH": "/usr/bin:/bin"}  # every REGISTRY_* variable would be configuration
    with subprocess.Popen(
        [program, "serve", str(folder / "config.yml")], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        log = iter(process.stderr)
        drain = threading.Thread(target=lambda: sum(1 for _ in log))
        try:
            assert any("listening on" in line for line in log), "docker-registry did not start"
            drain.start()
            yield address
        finally:
            process.terminate()
        drain.join()


@dataclass(frozen=True)
class Entry:
    """One entry of a file system: what two images must have in common."""

    kind: str
    mode: int
    uid: int
    gid: int
    content: str


def tar_of(
    entries: Mapping[str, bytes | str | None], owner: tuple[int, int] = (0, 0), mode: int = 0
) -> bytes:
    """A tar archive: bytes for files, a text for symbolic links, None for folders."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.uid, member.gid = owner
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, mode or 0o755
            elif isinstance(content, str):
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, content, 0o777
            else:
                member.size, member.mode = len(content), mode or 0o644
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def base_layers() -> list[bytes]:
    """A small system as bases have it: /bin is a link, a folder is deleted again, programs are there."""
    busybox = shutil.which("busybox")
    assert busybox, "needs busybox (Debian's package busybox-static)"
    first: dict[str, bytes | str | None] = {
        "usr": None,
        "usr/bin": None,
        "bin": "usr/bin",
        "etc": None,
        "etc/passwd": _PASSWD,
        "etc/group": _GROUP,
        "srv": None,
        "srv/old": None,
        "srv/old/file": b"goes away",
        "srv/kept": b"stays",
        "tmp": None,
        "root": None,
    }
    program = {"usr/bin/busybox": Path(busybox).read_bytes()}
    links = {f"usr/bin/{name}": "busybox" for name in _APPLETS.split()}
    return [
        tar_of(first),
        tar_of(program, mode=0o755),
        tar_of(links),
        tar_of({"srv/.wh.old": b"", "srv/app": None}, owner=(1000, 1001)),
    ]


def put(url: str, data: bytes, content_type: str = "application/octet-stream") -> None:
    """Send something to a registry."""
    request = Request(url, data, {"Content-Type": content_type}, method="PUT")
    with urlopen(request) as answer:
        assert answer.status == 201


def push_base(
    registry: str,
    name: str,
    layers: list[bytes],
    runtime: Mapping[str, Any] | None = None,
    *,
    instead: list[bytes] | None = None,
) -> str:
    """Put an image with these layers into a registry; gives its digest.

    Args:
        registry: address of the registry.
        name: repository and tag.
        layers: what its configuration says that it has.
        runtime: what its configuration says besides.
        instead: the layers that it really has, if they are others.
    """
    repository, _, tag = name.partition(":")
    packed = [gzip.compress(layer, 1, mtime=0) for layer in instead or layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED,
            "config": {"Env": ["PATH=/usr/bin", "KIND=base"], "Cmd": ["sh"], **(runtime or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            "history": [{"created": CREATED, "created_by": f"layer {n}"} for n, _ in enumerate(layers)],
        }
    ).encode()
    for blob in [*packed, config]:
        upload_blob(registry, repository, blob)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [
                {"mediaType": _LAYER, "digest": digest_of(blob), "size": len(blob)} for blob in packed
            ],
        }
    ).encode()
    put(f"http://{registry}/v2/{repository}/manifests/{tag}", manifest, OCI_MANIFEST)
    return digest_of(manifest)


def upload_blob(registry: str, repository: str, blob: bytes) -> None:
    """Put one blob into a repository."""
    begin = Request(f"http://{registry}/v2/{repository}/blobs/uploads/", b"", method="POST")
    with urlopen(begin) as answer:
        location = answer.headers["Location"]
    url = location if "://" in location else f"http://{registry}{location}"
    put(f"{url}{'&' if '?' in url else '?'}digest={digest_of(blob)}", blob)


def delete_manifest(registry: str, name: str) -> None:
    """Remove `repository@digest` from a registry."""
    repository, _, digest = name.partition("@")
    request = Request(f"http://{registry}/v2/{repository}/manifests/{digest}", method="DELETE")
    with urlopen(request) as answer:
        assert answer.status == 202


def get(url: str) -> bytes:
    """What a registry has at an address."""
    with urlopen(Request(url, headers={"Accept": _ACCEPT})) as answer:
        return bytes(answer.read())


@dataclass(frozen=True)
class Pulled:
    """An image as the registry has it.

    Attributes:
        manifest: its manifest.
        config: its configuration.
        tree: its file system, by path.
    """

    manifest: dict[str, Any]
    config: dict[str, Any]
    tree: dict[str, Entry]


def pull(registry: str, name: str) -> Pulled:
    """Read an image with a reader of the tests' own, which shares no code with the product."""
    repository, _, tag = name.rpartition("@") if "@" in name else name.rpartition(":")
    at = f"http://{registry}/v2/{repository}"
    manifest = json.loads(get(f"{at}/manifests/{tag}"))
    config = json.loads(get(f"{at}/blobs/{manifest['config']['digest']}"))
    tree: dict[str, Entry] = {}
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        blob = get(f"{at}/blobs/{layer['digest']}")
        assert digest_of(blob) == layer["digest"]
        assert len(blob) == layer["size"]
        plain = gzip.decompress(blob)
        assert digest_of(plain) == diff_id
        unpack(tree, plain)
    return Pulled(manifest, config, tree)


def unpack(tree: dict[str, Entry], layer: bytes) -> None:
    """Apply a layer as overlayfs would: what is not in it shines through."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for member in tar:
            name = member.name.strip("/").removeprefix("./")
            folder, _, last = name.rpartition("/")
            if not name or name == ".":
                continue
            if last.startswith(".wh."):
                gone = f"{folder}/{last[4:]}".lstrip("/")
                for path in [path for path in tree if path == gone or path.startswith(f"{gone}/")]:
                    del tree[path]
                continue
            if member.isreg():
                stream = tar.extractfile(member)
                assert stream is not None
                content, kind = hashlib.sha256(stream.read()).hexdigest()[:16], "file"
            elif member.issym():
                content, kind = member.linkname, "link"
            elif member.islnk():
                tree[name] = tree[member.linkname.removeprefix("./").strip("/")]
                continue
            else:
                content, kind = "", "folder" if member.isdir() else "other"
            mode = 0o777 if kind == "link" else member.mode & 0o7777
            if kind != "folder":
                for path in [path for path in tree if path.startswith(f"{name}/")]:
                    del tree[path]
            tree[name] = Entry(kind, mode, member.uid, member.gid, content)


def file_entry(content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Entry:
    """What a file looks like in a tree."""
    return Entry("file", mode, uid, gid, hashlib.sha256(content).hexdigest()[:16])


@dataclass
class Bench:
    """A builder with its registry, as a test uses it.

    Attributes:
        registry: address of the registry that images go to.
        settings: what the builder is set to.
        lines: the log of all builds.
        phases: where builds stood.
    """

    registry: str
    settings: BuildSettings
    lines: list[str]
    phases: list[Phase]

    def build(self, request: ImageRequest | Image, uploads: Path | None = None) -> BuildResult:
        """Build with a builder of its own."""
        return asyncio.run(self.build_in_loop(request, uploads))

    async def build_in_loop(self, request: ImageRequest | Image, uploads: Path | None = None) -> BuildResult:
        """The same in the test's own loop."""
        (result,) = await self.build_all([request], uploads)
        return result

    async def build_all(
        self, requests: Sequence[ImageRequest | Image], uploads: Path | None = None
    ) -> list[BuildResult]:
        """Build one after the other, with one builder."""
        context = BuildContext(uploads, self.phases.append)
        results = []
        async with Builder(self.settings) as builder:
            for request in requests:
                asked = request.request() if isinstance(request, Image) else request
                results.append(await builder.build(asked, context, self.lines.append, asyncio.Event()))
        return results

    def raw_manifest(self, name: str) -> bytes:
        """The bytes of a manifest in the registry."""
        repository, _, tag = name.partition(":")
        return get(f"http://{self.registry}/v2/{repository}/manifests/{tag}")

    def digest(self, name: str) -> str:
        """The digest that a tag has."""
        return digest_of(self.raw_manifest(name))

    def pull(self, name: str) -> Pulled:
        """What the registry has by this name, below the builder's path."""
        return pull(self.registry, name)


def bench(registry: str, folder: Path, **changes: object) -> Bench:
    """A builder whose images go to `registry`/team."""
    values: dict[str, Any] = {
        "work": folder / "work",
        "cache": folder / "cache",
        "registry": Registry(registry_url=f"http://{registry}/v2/team"),
        "limits": Limits(seconds=120),
        **changes,
    }
    return Bench(registry, BuildSettings(**values), [], [])
