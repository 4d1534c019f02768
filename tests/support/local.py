"""`./scripts/local`, driven as a user would, from a copy of the repository."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from collection.modules import REPOSITORY

ACCOUNT = "123456789012"
REGION = "us-east-1"
# For tests that are about the cloud and not about its modules.
TWO_MODULES = ("replication-images", "desktops-dcv")
DOCUMENT = "\n---\n"


@dataclass(frozen=True)
class Run:
    """What one command printed, and how it ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Everything that it printed."""
        return self.stdout + self.stderr


@dataclass(frozen=True)
class LocalCloud:
    """One local cloud of a test.

    Attributes:
        checkout: the copy of the repository whose `./scripts/local` is run.
    """

    checkout: Path
    state: Path
    port_base: int

    @property
    def environment(self) -> dict[str, str]:
        """Variables that bind a command to this cloud; SeedFarmer does not wait for IAM in it."""
        own = {"LOCAL_STATE_DIR": str(self.state), "LOCAL_PORT_BASE": str(self.port_base)}
        return {**os.environ, **own, "LOCAL_IAM_WAIT": "no"}

    def local(self, *arguments: str, project: Path | None = None, **variables: str) -> Run:
        """Run `./scripts/local`, on another project than the checkout when one is given."""
        chosen = {"LOCAL_PROJECT_DIR": str(project)} if project else {}
        done = subprocess.run(
            [str(self.checkout / "scripts" / "local"), *arguments],
            cwd=self.checkout,
            env={**self.environment, **chosen, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments: str, project: Path | None = None, **variables: str) -> Run:
        """Run `./scripts/local`; what it printed is the message when it fails."""
        run = self.local(*arguments, project=project, **variables)
        assert run.status == 0, f"./scripts/local {' '.join(arguments)} ended with {run.status}:\n{run.text}"
        return run

    def outputs(self, *arguments: str, project: Path | None = None) -> dict[str, Any]:
        """`./scripts/local outputs --json`."""
        found: dict[str, Any] = json.loads(self.must("outputs", "--json", *arguments, project=project).stdout)
        return found

    def client(self, service: str) -> Any:  # noqa: ANN401  the type depends on the service
        """A client of the emulator."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=f"http://127.0.0.1:{self.port_base}",
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="test",
            region_name=REGION,
        )

    def processes(self) -> list[tuple[int, str]]:
        """Running processes, by id and command line, that name this cloud's state folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            pid = int(path.parent.name)
            if str(self.state) in command and pid != os.getpid():
                found.append((pid, command))
        return found

    def inventory(self) -> "Inventory":
        """What is in the emulated account now."""
        return Inventory(
            stacks=frozenset(
                stack["StackName"] for stack in self.client("cloudformation").describe_stacks()["Stacks"]
            ),
            repositories=frozenset(
                item["repositoryName"]
                for page in self.client("ecr").get_paginator("describe_repositories").paginate()
                for item in page["repositories"]
            ),
            buckets=frozenset(item["Name"] for item in self.client("s3").list_buckets()["Buckets"]),
            secrets=frozenset(
                item["Name"] for item in self.client("secretsmanager").list_secrets()["SecretList"]
            ),
            parameters=frozenset(
                item["Name"]
                for page in self.client("ssm").get_paginator("describe_parameters").paginate()
                for item in page["Parameters"]
            ),
        )


@dataclass(frozen=True)
class Inventory:
    """Names of everything that a deployment could leave behind."""

    stacks: frozenset[str]
    repositories: frozenset[str]
    buckets: frozenset[str]
    parameters: frozenset[str]
    secrets: frozenset[str]

    def beyond(self, other: "Inventory") -> set[str]:
        """What is here and not there."""
        return {
            f"{kind}: {name}"
            for kind in ("stacks", "repositories", "buckets", "parameters", "secrets")
            for name in getattr(self, kind) - getattr(other, kind)
        }


@contextmanager
def local_cloud(checkout: Path) -> Iterator[LocalCloud]:
    """A cloud of its own for some tests: its state lies in a short path, and `down` ends it."""
    # pytest's own temporary folders are too deep for the unix socket of a container engine.
    state = Path(tempfile.mkdtemp(prefix="airgap-", dir="/tmp"))
    cloud = LocalCloud(checkout, state, _free_ports(4))
    try:
        yield cloud
    finally:
        _keep_logs(cloud)
        ended = cloud.local("down")
        assert ended.status == 0, ended.text
        shutil.rmtree(state, ignore_errors=True)


def copy_repository(destination: Path, modules: Collection[str] = ()) -> Path:
    """A git repository with the working tree as it is now, tagged v0.0.1.

    Args:
        destination: folder to make.
        modules: `{group}-{module}` of the local deployment that it keeps, when not all of them.
    """
    listed = _git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target)
    if modules:
        _keep_modules(destination, modules)
    commit_all(destination, "v0.0.1")
    return destination


def _keep_modules(repository: Path, modules: Collection[str]) -> None:
    """Take the other modules out of the local deployment; what stays is not rewritten."""
    manifest = repository / "manifests" / "local" / "deployment.yaml"
    text = manifest.read_text()
    for group in yaml.safe_load(text)["groups"]:
        path = repository / group["path"]
        documents = path.read_text().split(DOCUMENT)
        kept = [item for item in documents if f"{group['name']}-{yaml.safe_load(item)['name']}" in modules]
        path.write_text(DOCUMENT.join(kept))
        if not kept:
            text = text.replace(f"  - name: {group['name']}\n    path: {group['path']}\n", "")
    manifest.write_text(text)


def commit_all(folder: Path, tag: str) -> None:
    """Make a folder a git repository with one tagged commit."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    _git(folder, *identity, "commit", "--quiet", "--message", "as it is")
    _git(folder, "tag", tag)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def _keep_logs(cloud: LocalCloud) -> None:
    """Keep logs where CI's user finds them, since the state folder goes with the test."""
    kept = os.environ.get("AIRGAP_TEST_LOGS")
    if not kept:
        return
    for log in [*cloud.state.glob("logs/*.log"), *cloud.state.glob("builds/*/*/build.log")]:
        target = Path(kept) / cloud.state.name / log.relative_to(cloud.state)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, target)


def _free_ports(count: int) -> int:
    """The first of `count` consecutive ports that nobody listens on, below the ephemeral range."""
    for base in range(15000 + os.getpid() % 5000, 32000, count):
        probes = [socket.socket() for _ in range(count)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return base
    raise RuntimeError("no free ports")
