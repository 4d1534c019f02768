"""Charts, chart repositories and registries for the tests."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import yaml
from dockerimage_replication import apply
from dockerimage_replication.aws import Aws
from dockerimage_replication.charts.archive import read_chart
from dockerimage_replication.charts.fetched import FetchedChart
from dockerimage_replication.lock import Lock
from dockerimage_replication.shared.usage import UsageRecords

ACCOUNT = "123456789012"
ECR_HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
BUCKET = f"idf-dkr-img-rep-md-us-east-1-{ACCOUNT}"

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

MODULE = "replication-images"
KEY = f"dev-{MODULE}-metadata.json"
LOCK_KEY = f"dev-{MODULE}-lock.json"
CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov"
SECRET = "canary-password"

DEFAULT = {
    "charts": {
        "app": {
            "name": "app",
            "repository": "https://charts.internet.local/charts",
            "version": "1.0.0+build.1",
            "images": {
                "app": {
                    "registry": {"location": "values", "path": "image.registry"},
                    "repository": {"location": "values", "path": "image.repository"},
                    "tag": {"location": "chart", "path": "appVersion", "prefix": "v"},
                }
            },
        },
        "tool": {"name": "tool", "repository": "oci://internet.local/team/charts", "version": "0.1.0"},
    },
    "additional_images": {"agent": "internet.local/team/agent:1"},
}


def packed(files: Mapping[str, bytes | tarfile.TarInfo], level: int = 9) -> bytes:
    """A .tgz; a TarInfo stands for a member of any other kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), level, mtime=0)


def chart_files(
    name: str = "app",
    version: str = "1.0.0",
    *,
    values: Mapping[str, Any] | None = None,
    subcharts: Mapping[str, Mapping[str, Any]] | None = None,
    **metadata: object,
) -> dict[str, bytes]:
    """The files of a chart below its folder; a subchart is given by its name and its values."""
    described = {"apiVersion": "v2", "name": name, "version": version, **metadata}
    files = {
        f"{name}/Chart.yaml": yaml.safe_dump(described).encode(),
        f"{name}/values.yaml": yaml.safe_dump(dict(values or {})).encode(),
    }
    for subchart, its_values in (subcharts or {}).items():
        for path, content in chart_files(subchart, "0.1.0", values=its_values).items():
            files[f"{name}/charts/{path}"] = content
    return files


def chart_archive(name: str = "app", version: str = "1.0.0", **kinds: Any) -> bytes:  # noqa: ANN401
    """A packed chart; see `chart_files`."""
    return packed(chart_files(name, version, **kinds))


def fetched_chart(name: str = "app", version: str = "1.0.0", **kinds: Any) -> FetchedChart:  # noqa: ANN401
    """A chart as if it had been fetched; see `chart_files`."""
    archive = chart_archive(name, version, **kinds)
    return FetchedChart(read_chart(archive), archive)


class ChartServer:
    """An http chart repository at `url`, on a thread of its own.

    Attributes:
        files: path -> content; `add` puts charts and the index there.
        redirects: path -> the URL that it is redirected to.
        password: with one, every request has to carry it (user `robot`).
        requests: (path, Authorization header) of every request so far.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.password: str | None = None
        self.requests: list[tuple[str, str | None]] = []
        self._entries: dict[str, list[dict[str, object]]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}/charts"

    def __enter__(self) -> "ChartServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, version: str, archive: bytes, **entry: object) -> None:
        """Publish a chart; `entry` replaces what the index says of it."""
        file = f"{name}-{version}.tgz"
        self.files[f"/charts/{file}"] = archive
        digest = hashlib.sha256(archive).hexdigest()
        described = {"name": name, "version": version, "urls": [file], "digest": digest, **entry}
        self._entries.setdefault(name, []).append(described)
        self.files["/charts/index.yaml"] = yaml.safe_dump(
            {"apiVersion": "v1", "entries": self._entries}
        ).encode()

    def replace(self, name: str, version: str, archive: bytes) -> None:
        """Publish other content under a version that is there already."""
        self._entries[name] = [entry for entry in self._entries[name] if entry["version"] != version]
        self.add(name, version, archive)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorization = self.headers.get("Authorization")
                outer.requests.append((self.path, authorization))
                if outer.password and authorization != basic("robot", outer.password):
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="charts"')
                    self.end_headers()
                    return
                if self.path in outer.redirects:
                    self.send_response(302)
                    self.send_header("Location", outer.redirects[self.path])
                    self.end_headers()
                    return
                content = outer.files.get(self.path)
                self.send_response(200 if content is not None else 404)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def basic(username: str, password: str) -> str:
    """A Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """A real registry on loopback; gives its host:port."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs docker-registry (Debian's package of that name)")
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(configuration))
    # Every REGISTRY_* variable would be taken as configuration.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    process = subprocess.Popen([program, "serve", str(folder / "config.yml")], env=variables)
    try:
        _wait_for(f"http://{address}/v2/", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            assert process.poll() is None, "docker-registry ended"
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"{url} does not answer")


class Client:
    """Puts content into a registry, and looks at it, without the code under test."""

    def __init__(self, address: str) -> None:
        self.address = address

    def push_image(self, repository: str, tag: str, content: bytes = b"layer") -> str:
        """Push an image for two architectures; the digest of its index."""
        children = []
        for architecture in ("amd64", "arm64"):
            config = json.dumps({"architecture": architecture, "os": "linux"}).encode()
            layer = content + architecture.encode()
            manifest = json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": MANIFEST,
                    "config": self._blob(repository, config, "application/vnd.oci.image.config.v1+json"),
                    "layers": [self._blob(repository, layer, "application/vnd.oci.image.layer.v1.tar")],
                }
            ).encode()
            digest = self.put_manifest(repository, _digest(manifest), manifest, MANIFEST)
            children.append({"mediaType": MANIFEST, "digest": digest, "size": len(manifest)})
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()
        return self.put_manifest(repository, tag, index, INDEX)

    def push_artifact(
        self, repository: str, tag: str, config: tuple[str, bytes], layers: list[tuple[str, bytes]]
    ) -> str:
        """Push an artifact of (media type, content); its digest."""
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._blob(repository, config[1], config[0]),
                "layers": [self._blob(repository, content, kind) for kind, content in layers],
                "annotations": {"made": "elsewhere"},
            }
        ).encode()
        return self.put_manifest(repository, tag, manifest, MANIFEST)

    def put_manifest(self, repository: str, name: str, manifest: bytes, media_type: str) -> str:
        self._send("PUT", f"{repository}/manifests/{name}", manifest, media_type)
        return _digest(manifest)

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest that a tag has, None when it is not there."""
        try:
            with self._open("HEAD", f"{repository}/manifests/{tag}") as answer:
                return str(answer.headers["Docker-Content-Digest"])
        except urllib.error.HTTPError:
            return None

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest and its tags."""
        self._open("DELETE", f"{repository}/manifests/{digest}").close()

    def manifest(self, repository: str, tag: str) -> dict[str, Any]:
        with self._open("GET", f"{repository}/manifests/{tag}") as answer:
            value: dict[str, Any] = json.load(answer)
            return value

    def blob(self, repository: str, digest: str) -> bytes:
        with self._open("GET", f"{repository}/blobs/{digest}") as answer:
            content: bytes = answer.read()
            return content

    def _blob(self, repository: str, content: bytes, media_type: str) -> dict[str, object]:
        digest = _digest(content)
        location = self._send("POST", f"{repository}/blobs/uploads/", b"", "")
        separator = "&" if "?" in location else "?"
        self._send("PUT", f"{location}{separator}digest={digest}", content, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _send(self, method: str, path: str, content: bytes, media_type: str) -> str:
        url = path if path.startswith("http") else f"http://{self.address}/v2/{path}"
        request = urllib.request.Request(url, content, {"Content-Type": media_type}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers.get("Location", ""))

    def _open(self, method: str, path: str) -> Any:  # noqa: ANN401 - urllib's own answer
        accept = {"Accept": f"{INDEX}, {MANIFEST}"}
        url = f"http://{self.address}/v2/{path}"
        return urllib.request.urlopen(urllib.request.Request(url, headers=accept, method=method), timeout=10)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class World:
    """The public and the private side, and the module's folder between them."""

    def __init__(
        self, folder: Path, aws: Aws, source: Client, destination: Client, charts: ChartServer
    ) -> None:
        self.aws = aws
        self.source = source
        self.destination = destination
        self.charts = charts
        self.default: dict[str, Any] = json.loads(json.dumps(DEFAULT))
        self.version: dict[str, Any] = {}
        self._data = folder / "data/eks_dockerimage-replication/versions"
        self._data.mkdir(parents=True)

    def publish(self) -> None:
        """Put everything that DEFAULT names where it is fetched from."""
        self.app = self.source.push_image("team/app", "v2.0", b"app")
        self.agent = self.source.push_image("team/agent", "1", b"agent")
        values = {"image": {"registry": "internet.local", "repository": "team/app"}}
        self.archive = chart_archive("app", "1.0.0+build.1", appVersion="2.0", values=values)
        self.charts.add("app", "1.0.0+build.1", self.archive)
        self.tool = self.source.push_artifact(
            "team/charts/tool",
            "0.1.0",
            (CHART_CONFIG, b'{"name": "tool"}'),
            [(CHART_LAYER, chart_archive("tool", "0.1.0")), (PROVENANCE, b"signed")],
        )

    def publish_template(self, template: str) -> None:
        """Publish the chart `app` of DEFAULT with a template."""
        values = {"image": {"registry": "internet.local", "repository": "team/app"}}
        files = chart_files("app", "1.0.0+build.1", appVersion="2.0", values=values)
        archive = packed({**files, "app/templates/x.yaml": template.encode()})
        self.charts.replace("app", "1.0.0+build.1", archive)

    def write_data(self) -> None:
        (self._data / "default.yaml").write_text(yaml.safe_dump(self.default))
        (self._data / "1.33.yaml").write_text(yaml.safe_dump(self.version))

    def apply(self, *, refresh: bool = False) -> None:
        self.write_data()
        assert apply.apply(refresh=refresh) == 0

    def inventory(self) -> dict[str, Any]:
        body = self.aws.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
        value: dict[str, Any] = json.loads(body)
        return value

    def lock(self) -> Lock:
        body = self.aws.s3.get_object(Bucket=BUCKET, Key=LOCK_KEY)["Body"].read()
        return Lock.parse(body, LOCK_KEY)

    def objects(self) -> set[str]:
        return {item["Key"] for item in self.aws.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def usage(self) -> set[str]:
        return UsageRecords(self.aws.s3, BUCKET).in_use()
