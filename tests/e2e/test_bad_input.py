"""Wrong input, from the manifest to the machine: one clear message, and nothing the next run trips over."""

import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.local import TWO_MODULES, LocalCloud, Run, copy_repository, local_cloud

pytestmark = pytest.mark.engine

REPLICATION = "manifests/local/replication-modules.yaml"
DATA = "data/local_dockerimage-replication/versions"


@dataclass(frozen=True)
class BadInput:
    """One mistake: a file of the project, what becomes of its text, and what the message must name."""

    file: str
    change: Callable[[str], str]
    named: tuple[str, ...]


CASES = {
    "missing parameter": BadInput(
        REPLICATION,
        lambda text: text.replace('  - name: eks-version\n    value: "1.33"\n', ""),
        ("eks-version", "required"),
    ),
    "wrong parameter": BadInput(
        REPLICATION,
        lambda text: text.replace("value: DESTROY", "value: SOMETIMES"),
        ("retention-type", "DESTROY"),
    ),
    "misspelt parameter": BadInput(
        REPLICATION,
        lambda text: text.replace("name: retention-type", "name: retention-typ"),
        ("`retention-typ`", "did you mean `retention-type`"),
    ),
    "unknown EKS version": BadInput(
        REPLICATION, lambda text: text.replace('"1.33"', '"1.77"'), ("1.77", "1.33")
    ),
    "data file that is not YAML": BadInput(
        f"{DATA}/1.33.yaml", lambda text: text + "\nnot: [valid\n", ("1.33.yaml",)
    ),
    "chart repository that is down": BadInput(
        f"{DATA}/default.yaml",
        lambda text: text.replace("charts.internet.local/stable", "127.0.0.1:9/stable"),
        ("127.0.0.1:9",),
    ),
    "image that does not exist": BadInput(
        f"{DATA}/default.yaml",
        lambda text: text.replace("docker.io/library/debian:bookworm", "docker.io/library/missing:1"),
        ("docker.io/library/missing:1",),
    ),
}


@pytest.fixture
def project(checkout: Path, tmp_path: Path) -> Path:
    """A copy of the repository that the test may spoil."""
    return copy_repository(tmp_path / "project", TWO_MODULES)


def test_every_mistake_is_named_once_and_the_next_run_does_not_trip(cloud: LocalCloud, project: Path) -> None:
    for mistake, case in CASES.items():
        path = project / case.file
        good = path.read_text()
        changed = case.change(good)
        assert changed != good, f"{mistake}: the test changes nothing"
        path.write_text(changed)
        run = cloud.local("apply", project=project)
        path.write_text(good)
        assert_one_message(mistake, run, case.named)
        uploaded = [name for name in cloud.inventory().buckets if name.startswith("airgap-dkr")]
        stored = [name for name in cloud.inventory().parameters if name.startswith("/airgap/local/")]
        assert not any(name.endswith("/images/metadata") for name in stored), (
            f"{mistake}: metadata was stored"
        )
        assert objects(cloud, uploaded, "metadata.json") == [], f"{mistake}: a result was uploaded"
    cloud.must("apply", project=project)
    cloud.must("destroy", project=project)


def assert_one_message(mistake: str, run: Run, named: tuple[str, ...]) -> None:
    assert run.status != 0, f"{mistake}: status 0\n{run.text}"
    assert "Traceback" not in run.text, f"{mistake}:\n{run.text}"
    assert run.stderr.count("error: module ") == 1, f"{mistake}:\n{run.stderr}"
    for name in named:
        assert name in run.stderr, f"{mistake}: the message does not name {name}:\n{run.stderr}"


def objects(cloud: LocalCloud, buckets: list[str], suffix: str) -> list[str]:
    found = []
    for bucket in buckets:
        listed = cloud.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        found += [item["Key"] for item in listed if item["Key"].endswith(suffix)]
    return found


def test_a_manifest_that_does_not_exist(cloud: LocalCloud) -> None:
    run = cloud.local("apply", "manifests/nowhere.yaml")
    assert run.status == 2
    assert run.stderr.startswith("error: the manifest ")
    assert "manifests/nowhere.yaml does not exist" in run.stderr


def test_a_taken_port_is_named_with_its_holder(checkout: Path) -> None:
    with local_cloud(checkout) as fresh, socket.socket() as holder:
        holder.bind(("127.0.0.1", fresh.port_base))
        holder.listen()
        run = fresh.local("apply")
        assert run.status == 1
        assert f"port {fresh.port_base} on 127.0.0.1" in run.stderr
        assert f"process {os.getpid()}" in run.stderr
        assert "LOCAL_PORT_BASE" in run.stderr
        assert "Traceback" not in run.text


def test_without_a_container_engine_the_message_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    with local_cloud(checkout) as fresh:
        run = fresh.local("apply", LOCAL_ENGINE="podman", PATH=without(tmp_path, "podman"))
    assert run.status == 1
    assert "podman" in run.stderr
    assert "install" in run.stderr
    assert "Traceback" not in run.text


def without(folder: Path, program: str) -> str:
    """A PATH on which one program is missing: links to all others."""
    links = folder / "bin"
    links.mkdir()
    for directory in os.environ["PATH"].split(":"):
        for path in Path(directory).glob("*") if Path(directory).is_dir() else []:
            if path.name != program and not (links / path.name).exists():
                (links / path.name).symlink_to(path)
    return str(links)


def test_aws_settings_of_the_users_shell_do_not_matter(cloud: LocalCloud) -> None:
    shell = {
        "AWS_PROFILE": "corporate",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    run = cloud.local("outputs", **shell)
    assert run.status == 1
    assert "nothing of manifests/local/deployment.yaml is deployed" in run.stderr
    assert "Traceback" not in run.text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOCAL_PORT_BASE", "high"),
        ("LOCAL_ACCOUNT_ID", "12"),
        ("LOCAL_ENGINE", "rkt"),
        ("LOCAL_STATE_DIR", f"/tmp/{'x' * 120}"),
    ],
)
def test_a_wrong_variable_is_named(cloud: LocalCloud, variable: str, value: str) -> None:
    run = cloud.local("status", **{variable: value})
    assert run.status == 2
    assert value in run.stderr
    assert "Traceback" not in run.text


def test_two_commands_at_once_do_not_meet(cloud: LocalCloud) -> None:
    """The second says who works on the cloud; it does not wait and does not interfere."""
    lock = cloud.state / "lock"
    lock.touch()
    with subprocess.Popen(["flock", "--no-fork", str(lock), "sleep", "60"]) as holder:
        try:
            subprocess.run(
                ["sh", "-c", f"while flock -n {lock} true; do sleep 0.05; done"], check=True, timeout=60
            )
            run = cloud.local("down")
        finally:
            holder.terminate()
    assert run.status == 1
    assert "another ./scripts/local command works here" in run.stderr
