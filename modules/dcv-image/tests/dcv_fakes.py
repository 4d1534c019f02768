"""A container engine that records how it is called, and the registry that it pushes to."""

import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import threading
import urllib.request
from pathlib import Path
from typing import Any

BASE_DIGEST = f"sha256:{'b' * 64}"
EMPTY_LAYER = bytes(1024)
DEBIAN = 'ID=debian\nVERSION_ID="12"\n'

ACCOUNT = "123456789012"
REGISTRY_HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"


class FakeRegistry:
    """Serves manifests and blobs on loopback and records each request's login."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.logins: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> "FakeRegistry":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        return f"http://{self.host}"

    def put(self, reference: str, labels: dict[str, str]) -> str:
        """Store an image with these labels; `reference` is `name:tag`."""
        config = json.dumps({"config": {"Labels": labels}}).encode()
        digest = _digest(config)
        self.blobs[digest] = config
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": digest}}).encode()
        self.manifests[reference] = manifest
        return _digest(manifest)

    def _find(self, path: str) -> bytes | None:
        name, _, last = path.removeprefix("/v2/").rpartition("/")
        if name.endswith("/manifests"):
            return self.manifests.get(f"{name.removesuffix('/manifests')}:{last}")
        return self.blobs.get(last)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.logins.append(self.headers.get("Authorization", ""))
                body = registry._find(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def do_POST(self) -> None:
                pushed = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                registry.put(pushed["reference"], pushed["labels"])
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class FakeEngine:
    """`docker` as a script that records; what it pushes arrives in the fake registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._log = folder / "calls.jsonl"
        self.behaviour: dict[str, Any] = {}
        self._behaviour = folder / "behaviour.json"
        program = folder / "docker"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__)}" "{folder}" "$@"\n')
        program.chmod(0o755)
        # The package index is not the subject: a `uv` that has every package.
        installer = folder / "uv"
        installer.write_text("#!/bin/sh\nwhile [ $1 != --target ]; do shift; done\nmkdir -p $2/awscli\n")
        installer.chmod(0o755)
        self.behave(client="20.10.24", base_digest=BASE_DIGEST, release=DEBIAN, fail={})

    def behave(self, **changes: object) -> None:
        """Change how the engine answers."""
        self.behaviour.update(changes)
        self._behaviour.write_text(json.dumps(self.behaviour))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Each call: its arguments, environment and standard input."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    @property
    def commands(self) -> list[str]:
        """The first word of each call."""
        return [call["argv"][0] for call in self.calls]

    def call(self, command: str) -> dict[str, Any]:
        """The only call of this command."""
        (found,) = [call for call in self.calls if call["argv"][0] == command]
        return found

    def forget(self) -> None:
        """Forget the calls so far."""
        self._log.unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _play(folder: Path, argv: list[str]) -> int:
    """What the script does."""
    behaviour = json.loads((folder / "behaviour.json").read_text())
    entry = {"argv": argv, "env": dict(os.environ), "stdin": sys.stdin.read() if argv[0] == "login" else ""}
    with (folder / "calls.jsonl").open("a") as log:
        log.write(json.dumps(entry) + "\n")
    if argv[0] in behaviour["fail"]:
        print(behaviour["fail"][argv[0]], file=sys.stderr)
        return 1
    if argv[0] == "version":
        print(behaviour["client"])
    if argv[:2] == ["image", "inspect"]:
        repository = argv[2].partition("@")[0].rpartition(":")[0]
        found = {
            "RepoDigests": [f"{repository}@{behaviour['base_digest']}"],
            "Architecture": "amd64",
            "Created": "2024-01-01T00:00:00.123456789Z",
            "RootFS": {"Layers": [_digest(EMPTY_LAYER)]},
        }
        print(json.dumps([found]))
    if argv[:2] == ["image", "history"]:
        print("<missing>")
    if argv[0] == "build":
        labels = [argv[at + 1] for at, word in enumerate(argv) if word == "--label"]
        (folder / "built.json").write_text(json.dumps(dict(label.split("=", 1) for label in labels)))
    if argv[0] == "create":
        print("a-container")
    if argv[0] == "cp":
        Path(argv[2]).write_text(behaviour["release"])
    if argv[0] == "save":
        _save(Path(argv[2]), json.loads((folder / "built.json").read_text()))
    if argv[0] == "load":
        sys.stdin.buffer.read()
    if argv[0] == "push":
        _push(folder, argv[-1])
    return 0


def _save(archive: Path, labels: dict[str, str]) -> None:
    """An image of the base's one layer and one step of its own, as `docker save` writes it."""
    config = {
        "config": {"Labels": labels},
        "history": [{"created_by": "base"}, {"created_by": "LABEL", "empty_layer": True}],
        "rootfs": {"type": "layers", "diff_ids": [_digest(EMPTY_LAYER)]},
    }
    manifest = [{"Config": "config.json", "Layers": ["layer.tar"]}]
    members = {
        "layer.tar": EMPTY_LAYER,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(archive, "w") as output:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            output.addfile(member, io.BytesIO(content))


def _push(folder: Path, reference: str) -> None:
    """Tell the test's registry over its own port, the way a push would."""
    host, _, name = reference.partition("/")
    body = json.dumps({"reference": name, "labels": json.loads((folder / "built.json").read_text())}).encode()
    request = urllib.request.Request(f"http://{host}/push", data=body, method="POST")
    urllib.request.urlopen(request, timeout=5).close()


if __name__ == "__main__":
    sys.exit(_play(Path(sys.argv[1]), sys.argv[2:]))
