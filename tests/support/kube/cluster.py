"""A whole cluster of one node: API server, controllers, scheduler, kubelet and proxy, and pods that run."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .certificates import make_certificates
from .control_plane import (
    FEATURES,
    START_SECONDS,
    TOKENS,
    ControlPlane,
    etcd_command,
    server_command,
    wait_until_ready,
    write_admin_token,
)
from .node import Node, running_node
from .pause import PAUSE_IMAGE, pause_image

NODE_NAME = "node"
PORT = 6443
DNS_DOMAIN = "cluster.local"
DOCKER = "/usr/bin/docker"
# Pods ask for scores that take a capability which not every machine has; and some for a /proc of their own.
RUNC = """#!/bin/sh
set -eu
previous=
for argument; do
  if [ "$previous" = --bundle ]; then
    sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$argument/config.json"
    {unmasked} "$argument" {arguments}
  fi
  previous=$argument
done
exec runc "$@"
"""
# Every request to the API server, without its content: what a service account really used.
AUDIT_POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n  - level: Metadata\n"


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        control_plane: its API server.
        node: its only node; services that pods use listen on `node.here`.
        folder: its logs and state.
        docker_host: of the container engine that runs its pods.
    """

    control_plane: ControlPlane
    node: Node
    folder: Path
    docker_host: str

    @property
    def audit_log(self) -> Path:
        """One JSON document for each request."""
        return self.folder / "audit.log"

    def docker(self, *arguments: str, stdin: "subprocess.Popen[bytes] | None" = None) -> str:
        """Call the container engine of the node; what it printed."""
        done = subprocess.run(
            [DOCKER, f"--host={self.docker_host}", *arguments],
            stdin=stdin.stdout if stdin else subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def load(self, image: str) -> None:
        """Copy an image from the tests' container engine into the node's."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
            self.docker("load", stdin=saving)
        assert saving.returncode == 0

    def logs(self) -> str:
        """The ends of the logs of all parts."""
        texts = [
            (path.name, path.read_text("utf-8", "replace")) for path in sorted(self.folder.glob("*.log"))
        ]
        return "\n".join(f"--- {name}\n{text[-2000:]}" for name, text in texts if name != "audit.log")


@contextmanager
def running_cluster(programs: Path, folder: Path) -> Iterator[Cluster]:
    """Start a cluster with all state and logs in `folder`; afterwards nothing of it runs.

    Args:
        programs: folder with Kubernetes' programs.
        folder: a new or empty folder, with a short path (it holds sockets).
    """
    with running_node() as node:
        control_plane = _start_control_plane(node, programs, folder)
        docker_host = _start_docker(node, control_plane, folder)
        cluster = Cluster(control_plane, node, folder, docker_host)
        pause_image(cluster.docker_host)
        _start_names(cluster)
        _start_controllers(cluster, programs)
        _start_kubelet(cluster, programs)
        _wait(lambda: _is_ready(control_plane), cluster)
        yield cluster


def _start_control_plane(node: Node, programs: Path, folder: Path) -> ControlPlane:
    certificates = make_certificates(folder, node.address, "10.96.0.1")
    admin_token = write_admin_token(folder)
    (folder / "audit-policy.yaml").write_text(AUDIT_POLICY, encoding="utf-8")
    node.start(etcd_command(folder, 2379, 2380), folder / "etcd.log")
    process = node.start(
        [
            *server_command(programs, folder, certificates, 2379),
            f"--bind-address={node.address}",
            f"--advertise-address={node.address}",
            f"--secure-port={PORT}",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
            f"--audit-policy-file={folder / 'audit-policy.yaml'}",
            f"--audit-log-path={folder / 'audit.log'}",
        ],
        folder / "kube-apiserver.log",
    )
    url = f"https://{node.address}:{PORT}"
    wait_until_ready(url, certificates.authority, admin_token, process, folder)
    return ControlPlane(url, certificates.authority, admin_token, process, certificates.service_account_key)


def _start_docker(node: Node, control_plane: ControlPlane, folder: Path) -> str:
    runtime = folder / "runc"
    unmasked = [sys.executable, "-I", str(Path(__file__).with_name("unmasked.py"))]
    arguments = [
        str(folder / "docker" / "containers"),
        control_plane.url,
        str(control_plane.authority),
        str(folder / TOKENS),
    ]
    text = RUNC.format(unmasked=shlex.join(unmasked), arguments=shlex.join(arguments))
    runtime.write_text(text, encoding="utf-8")
    runtime.chmod(0o755)
    host = f"unix://{folder / 'docker.sock'}"
    process = node.start(
        [
            "dockerd",
            f"--host={host}",
            f"--data-root={folder / 'docker'}",
            f"--exec-root={folder / 'docker-exec'}",
            f"--pidfile={folder / 'docker.pid'}",
            f"--bip={node.pods[1]}/{node.pods.prefixlen}",
            f"--cgroup-parent=/{node.name}",
            f"--insecure-registry={node.here}/32",
            f"--add-runtime=tests={runtime}",
            "--default-runtime=tests",
            "--shutdown-timeout=1",
        ],
        folder / "dockerd.log",
    )
    end = time.monotonic() + START_SECONDS
    while subprocess.run([DOCKER, f"--host={host}", "info"], capture_output=True).returncode:
        waiting = process.poll() is None and time.monotonic() < end
        assert waiting, (folder / "dockerd.log").read_text("utf-8", "replace")[-3000:]
        time.sleep(0.1)
    return host


def _start_names(cluster: Cluster) -> None:
    control_plane, folder = cluster.control_plane, cluster.folder
    script = Path(__file__).with_name("dns_server.py")
    arguments = [cluster.node.address, control_plane.url, str(control_plane.authority), str(folder / TOKENS)]
    cluster.node.start([sys.executable, "-I", str(script), *arguments], folder / "dns.log")


def _start_controllers(cluster: Cluster, programs: Path) -> None:
    folder, control_plane = cluster.folder, cluster.control_plane
    kubeconfig = control_plane.write_kubeconfig(folder / "kubeconfig")
    parts = {
        "kube-controller-manager": [
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--port=0",
            f"--service-account-private-key-file={control_plane.service_account_key}",
            f"--root-ca-file={control_plane.authority}",
            f"--feature-gates={FEATURES}",
        ],
        "kube-scheduler": ["--leader-elect=false", "--bind-address=127.0.0.1", "--port=0"],
        "kube-proxy": [
            "--proxy-mode=iptables",
            f"--hostname-override={NODE_NAME}",
            f"--cluster-cidr={cluster.node.pods}",
            "--conntrack-max-per-core=0",
            "--conntrack-min=0",
            "--oom-score-adj=0",
            "--healthz-bind-address=127.0.0.1",
            "--metrics-bind-address=127.0.0.1",
        ],
    }
    for name, options in parts.items():
        command = [str(programs / name), f"--kubeconfig={kubeconfig}", *options]
        cluster.node.start(command, folder / f"{name}.log")


def _start_kubelet(cluster: Cluster, programs: Path) -> None:
    folder, node = cluster.folder, cluster.node
    command = [
        str(programs / "kubelet"),
        f"--kubeconfig={folder / 'kubeconfig'}",
        f"--root-dir={folder / 'kubelet'}",
        f"--cert-dir={folder / 'kubelet-certificates'}",
        f"--docker-endpoint={cluster.docker_host}",
        f"--hostname-override={NODE_NAME}",
        f"--feature-gates={FEATURES}",
        f"--node-ip={node.address}",
        f"--address={node.address}",
        f"--pod-infra-container-image={PAUSE_IMAGE}",
        f"--cluster-dns={node.address}",
        f"--cluster-domain={DNS_DOMAIN}",
        "--cgroup-driver=cgroupfs",
        "--cgroups-per-qos=false",
        "--enforce-node-allocatable=",
        "--fail-swap-on=false",
        "--oom-score-adj=0",
        "--anonymous-auth=true",
        "--authorization-mode=AlwaysAllow",
        "--eviction-hard=",  # the machine's disk is not the node's alone
        "--image-gc-high-threshold=100",
        "--healthz-bind-address=127.0.0.1",
        "--read-only-port=0",
    ]
    node.start(command, folder / "kubelet.log")


def _is_ready(control_plane: ControlPlane) -> bool:
    """The node takes pods, and new namespaces have their service account."""
    core = control_plane.core()
    conditions = [
        condition
        for node in core.list_node().items
        for condition in node.status.conditions or ()
        if condition.type == "Ready" and condition.status == "True"
    ]
    accounts = core.list_namespaced_service_account("default").items
    return bool(conditions) and any(account.secrets for account in accounts)


def _wait(condition: Callable[[], bool], cluster: Cluster) -> None:
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"the cluster did not become ready:\n{cluster.logs()}")
        time.sleep(0.2)
