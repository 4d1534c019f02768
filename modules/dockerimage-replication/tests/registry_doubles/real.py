"""The real registry behind the doubles: Debian's docker-registry, on loopback."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAM = shutil.which("docker-registry")


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that signs itself.

    Attributes:
        chain: file that a client has to trust.
        key: file with its private key.
    """

    chain: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        """A new one, good for a day."""
        made = cls(folder / "certificate.pem", folder / "key.pem")
        request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=loopback"
        names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made.key), "-out", str(made.chain)]
        subprocess.run(["openssl", *request.split(), *names], check=True, capture_output=True)
        return made

    def context(self) -> ssl.SSLContext:
        """What a client of the tests trusts it with."""
        return ssl.create_default_context(cafile=str(self.chain))


@contextmanager
def docker_registry(
    folder: Path, *, tls: Certificate | None = None, htpasswd: str | None = None
) -> Iterator[str]:
    """Run docker-registry; gives its `host:port`.

    Args:
        folder: where it keeps its configuration and content.
        tls: with it, the registry speaks https only.
        htpasswd: lines `user:bcrypt` of those who may use it; without it everybody may.
    """
    assert PROGRAM is not None, "needs docker-registry (Debian's package of that name)"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    http: dict[str, object] = {"addr": address}
    configuration: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": http,
    }
    if tls:
        http["tls"] = {"certificate": str(tls.chain), "key": str(tls.key)}
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    # Every REGISTRY_* variable would be taken as configuration.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    with subprocess.Popen(
        [PROGRAM, "serve", str(folder / "config.yml")], env=variables, stderr=subprocess.PIPE, text=True
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
