"""One release of the chart, by helm."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..shared.errors import UserError
from .cluster import TOKEN_AGE, EksCluster

RELEASE = "dcrx-kv"
_COMPLAINT = 4000  # characters of helm's own message that are quoted
# What helm has to know of this machine: how to get out, and by which certificates. No credentials of AWS.
_PASSED_ON = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("PATH", "SSL_CERT_DIR", "SSL_CERT_FILE"),
)


class HelmError(Exception):
    """Helm failed; the text is its message."""


@dataclass(frozen=True)
class Revision:
    """One revision of the release, as `helm history` lists it."""

    number: int
    status: str
    description: str


@dataclass(frozen=True)
class Helm:
    """Helm with one namespace of a cluster.

    Attributes:
        program: the file.
        folder: private, for values and settings.
        cluster: of EKS.
        namespace: of the release.
        minutes: how long one change may take.
    """

    program: Path
    folder: Path
    cluster: EksCluster
    namespace: str
    minutes: int

    def history(self) -> list[Revision]:
        """Revisions of the release, the oldest first; none when it is not installed.

        Raises:
            HelmError: helm failed otherwise.
        """
        try:
            listed = json.loads(self._run("history", RELEASE, "--output=json"))
        except HelmError as error:
            if "release: not found" in str(error):
                return []
            raise
        return [Revision(item["revision"], item["status"], item["description"]) for item in listed]

    def upgrade(self, chart: Path, values: Mapping[str, Any], description: str) -> None:
        """Install or upgrade, and wait until everything is ready.

        Raises:
            HelmError: the cluster refuses, or something was not ready in time.
        """
        named = [RELEASE, str(chart), f"--values={self._written(values)}", f"--description={description}"]
        self._run("upgrade", "--install", *named, *self._waiting)

    def rollback(self, revision: int) -> None:
        """Bring back what a revision was, and wait until everything is ready.

        Raises:
            HelmError: as `upgrade`.
        """
        self._run("rollback", RELEASE, str(revision), *self._waiting)

    def uninstall(self) -> None:
        """Remove the release, and wait until everything is gone.

        Raises:
            HelmError: the cluster refuses, or something was not gone in time.
        """
        self._run("uninstall", RELEASE, *self._waiting)

    @property
    def _waiting(self) -> list[str]:
        return ["--wait", f"--timeout={self.minutes}m"]

    def _written(self, values: Mapping[str, Any]) -> Path:
        return write_values(self.folder, values)

    def _run(self, *arguments: str) -> str:
        """Run helm with a token that never grows old; what it printed."""
        config = _write_kubeconfig(self.folder, self.cluster)
        command = [str(self.program), *arguments, f"--namespace={self.namespace}", f"--kubeconfig={config}"]
        return run_helm(command, self.folder, lambda: _write_token(self.folder, self.cluster))


@contextmanager
def helm_with(program: Path, cluster: EksCluster, namespace: str, minutes: int) -> Iterator[Helm]:
    """Helm, and a private folder that goes with it."""
    with TemporaryDirectory(prefix="helm-") as folder:
        yield Helm(program, Path(folder), cluster, namespace, minutes)


def check_chart(program: Path, chart: Path, values: Mapping[str, Any]) -> None:
    """Render the chart without a cluster, which checks the values by its schema and its own rules.

    Raises:
        HelmError: helm says what is wrong.
    """
    with TemporaryDirectory(prefix="helm-") as name:
        folder = Path(name)
        file = write_values(folder, values)
        run_helm([str(program), "template", RELEASE, str(chart), f"--values={file}"], folder)


def run_helm(command: list[str], folder: Path, every_ten_minutes: Any = lambda: None) -> str:  # noqa: ANN401
    """Run helm with a private folder for all it keeps; what it printed.

    Raises:
        HelmError: it does not run, or ends with another status than 0.
    """
    complaints, printed = folder / "stderr", folder / "stdout"
    every_ten_minutes()
    with complaints.open("wb") as stderr, printed.open("wb") as stdout:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=_environment(folder),
                cwd=folder,
            )
        except OSError as error:
            raise HelmError(f"{command[0]} cannot be run: {error.strerror}") from None
        try:
            while True:
                try:
                    status = process.wait(TOKEN_AGE)
                    break
                except subprocess.TimeoutExpired:
                    every_ten_minutes()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if status != 0:
        said = complaints.read_text("utf-8", "replace")[-_COMPLAINT:]
        raise HelmError(" ".join(said.split()).removeprefix("Error: ") or f"helm ended with status {status}")
    return printed.read_text("utf-8")


def write_values(folder: Path, values: Mapping[str, Any]) -> Path:
    """Write values for helm, readable by us alone."""
    return _write(folder / "values.json", json.dumps(values))


def _write_kubeconfig(folder: Path, cluster: EksCluster) -> Path:
    """Helm reads the token's file again every minute, so that it can be replaced while helm waits."""
    authority = _write(folder / "ca.crt", cluster.authority)
    entry = {"server": cluster.endpoint, "certificate-authority": str(authority)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "eks", "cluster": entry}],
        "users": [{"name": "eks", "user": {"tokenFile": str(folder / "token")}}],
        "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "eks"}}],
        "current-context": "eks",
    }
    return _write(folder / "kubeconfig", json.dumps(config))


def _write_token(folder: Path, cluster: EksCluster) -> None:
    _write(folder / "token.new", cluster.token()).replace(folder / "token")


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _environment(folder: Path) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    folders = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**passed_on, "HOME": str(folder), "TMPDIR": str(folder), **folders}


def as_user_error(parameter: str, error: HelmError) -> UserError:
    """What helm says, under the name of the manifest parameter that it is about."""
    return UserError(f"manifest parameter `{parameter}`: {error}")
