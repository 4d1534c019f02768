"""etcd and the API server: started, paused, ended, by their processes."""

import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import kubernetes
import yaml

from .certificates import Certificates, make_certificates

START_SECONDS = 180  # both together, on a machine that is busy with other tests
TOKENS = "tokens.csv"
# On by default in later releases.
FEATURES = "MixedProtocolLBService=true,TTLAfterFinished=true,ProcMountType=true"
ISSUER = "https://kubernetes.default.svc"


@dataclass(frozen=True)
class ControlPlane:
    """A running API server without any controller: objects are kept and nothing comes of them.

    Attributes:
        url: where it listens, on 127.0.0.1.
        authority: certificate to trust it by.
        admin_token: may do everything.
        process: of the API server.
        service_account_key: signs the tokens of service accounts.
    """

    url: str
    authority: Path
    admin_token: str
    process: "subprocess.Popen[bytes]"
    service_account_key: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def admin(self) -> kubernetes.client.ApiClient:
        """The official client, as somebody who may do everything."""
        return self.client(self.admin_token)

    def client(self, token: str) -> kubernetes.client.ApiClient:
        """The official client with a token."""
        settings = kubernetes.client.Configuration(
            host=self.url, api_key={"BearerToken": token}, api_key_prefix={"BearerToken": "Bearer"}
        )
        settings.ssl_ca_cert = str(self.authority)
        return kubernetes.client.ApiClient(settings)

    def core(self) -> kubernetes.client.CoreV1Api:
        """The official client's core API, as somebody who may do everything."""
        return kubernetes.client.CoreV1Api(self.admin)

    def make_namespace(self, name: str) -> str:
        """Make a namespace."""
        self.core().create_namespace({"metadata": {"name": name}})
        return name

    def create(self, manifests: str, namespace: str, *, dry_run: bool = False) -> None:
        """Create every object of some YAML; a wrong one raises the client's own error.

        Args:
            manifests: documents of YAML.
            namespace: for objects that name none.
            dry_run: let the server check and complete them, and keep none.
        """
        extra = {"dry_run": "All"} if dry_run else {}
        for document in yaml.safe_load_all(manifests):
            if document:
                kubernetes.utils.create_from_dict(self.admin, document, namespace=namespace, **extra)

    def write_kubeconfig(self, path: Path) -> Path:
        """The file by which kubectl and helm reach the server, as somebody who may do everything."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": str(self.authority)},
                }
            ],
            "users": [{"name": "admin", "user": {"token": self.admin_token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def token(self, namespace: str, service_account: str, seconds: int = 3600) -> str:
        """A token as the kubelet asks for one; the server makes it last 10 minutes at least."""
        asked = {"spec": {"audiences": [ISSUER], "expirationSeconds": seconds}}
        made = self.core().create_namespaced_service_account_token(service_account, namespace, asked)
        token: str = made.status.token
        return token

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Connections are taken and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_control_plane(programs: Path, folder: Path, *options: str) -> Iterator[ControlPlane]:
    """Start etcd and the API server with all state and logs in `folder`; end both afterwards.

    Args:
        programs: folder that has `kube-apiserver`.
        folder: a new or empty folder.
        options: further ones of the API server.
    """
    certificates = make_certificates(folder)
    admin_token = write_admin_token(folder)
    etcd_port, peer_port, port = _free_ports(3)
    etcd = etcd_command(folder, etcd_port, peer_port)
    server = [
        *server_command(programs, folder, certificates, etcd_port),
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        # Its admission waits for token secrets, which a controller would make.
        "--disable-admission-plugins=ServiceAccount",
        *options,
    ]
    with (
        _running(etcd, folder / "etcd.log"),
        _running(server, folder / "kube-apiserver.log") as process,
    ):
        url = f"https://127.0.0.1:{port}"
        wait_until_ready(url, certificates.authority, admin_token, process, folder)
        yield ControlPlane(
            url, certificates.authority, admin_token, process, certificates.service_account_key
        )


def write_admin_token(folder: Path) -> str:
    """A token that may do everything, in the file that the API server reads."""
    token = secrets.token_hex(16)
    tokens = folder / TOKENS
    tokens.touch(mode=0o600)
    tokens.write_text(f'{token},admin,admin,"system:masters"\n', encoding="utf-8")
    return token


def etcd_command(folder: Path, port: int, peer_port: int) -> list[str]:
    """etcd with its data in a folder, on loopback."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def server_command(programs: Path, folder: Path, certificates: Certificates, etcd_port: int) -> list[str]:
    """An API server, but for where it listens."""
    return [
        str(programs / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={certificates.certificate}",
        f"--tls-private-key-file={certificates.key}",
        f"--token-auth-file={folder / TOKENS}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={certificates.service_account_key}",
        f"--service-account-signing-key-file={certificates.service_account_key}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--feature-gates={FEATURES}",
    ]


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_ready(
    url: str, authority: Path, token: str, process: "subprocess.Popen[bytes]", folder: Path
) -> None:
    """Wait for the API server; its logs are in the error when it does not come."""
    context = ssl.create_default_context(cafile=str(authority))
    question = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(question, timeout=5, context=context):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    logs = "\n".join(
        (folder / name).read_text("utf-8", "replace")[-3000:] for name in ("etcd.log", "kube-apiserver.log")
    )
    raise RuntimeError(f"the API server did not become ready:\n{logs}")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
