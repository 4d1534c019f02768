"""Builds with commands inside a container: what the engine has to allow, and nothing more."""

import errno
import json
import subprocess
from collections.abc import Iterator

import pytest

from .containers import (
    FOR_COMMANDS,
    LEAST,
    PROFILE,
    REGISTRY,
    RUN,
    network,
    push_small_base,
    registry_beside,
    request,
)

pytestmark = pytest.mark.engine
SECCOMP, PATHS = FOR_COMMANDS[:2], FOR_COMMANDS[2:]

# get_mempolicy(2) by its number, which the kernel itself refuses nobody.
ASK_FOR_MEMORY_POLICY = """
import ctypes, platform
library = ctypes.CDLL(None, use_errno=True)
library.syscall({"x86_64": 239, "aarch64": 236}[platform.machine()], 0, 0, 0, 0, 0)
print(ctypes.get_errno())
"""


@pytest.fixture(scope="module")
def network_with_registry(debian: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Id of a container whose network has a registry with the base."""
    folder = tmp_path_factory.mktemp("registry")
    with network(debian) as owner, registry_beside(owner, debian, folder) as address:
        push_small_base(address, folder)
        yield owner.id


def build(image: str, network_with_registry: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = ["docker", "run", "--rm", "--interactive", "--network", f"container:{network_with_registry}"]
    command += ["--env", f"DOCKER_REGISTRY_URI=http://127.0.0.1:{REGISTRY}/v2/team", *options]
    command += [image, "image-builder", "build", "--local", "-"]
    asked = json.dumps(request("commands", RUN))
    return subprocess.run(command, input=asked, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "options",
    [
        FOR_COMMANDS,
        LEAST,
        (*LEAST, "--read-only", "--user=65534:65534"),
    ],
    ids=["documented", "least-capabilities", "read-only-as-nobody"],
)
def test_commands_run_with_the_documented_options(
    image: str, network_with_registry: str, options: tuple[str, ...]
) -> None:
    done = build(image, network_with_registry, *options)

    assert done.returncode == 0, done.stderr
    assert f"127.0.0.1:{REGISTRY}/team/commands@sha256:" in done.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (PATHS, "unshare"),
        (SECCOMP, "/proc"),
        ((*FOR_COMMANDS, "--security-opt=no-new-privileges"), "uid_map"),
        ((*FOR_COMMANDS, "--cap-drop=SETUID"), "newuidmap"),
        ((*FOR_COMMANDS, "--cap-drop=SETGID"), "newgidmap"),
    ],
    ids=["without-seccomp", "without-paths", "no-new-privileges", "without-setuid", "without-setgid"],
)
def test_each_of_them_is_needed_and_its_absence_is_named(
    image: str, network_with_registry: str, options: tuple[str, ...], reason: str
) -> None:
    done = build(image, network_with_registry, *options)

    assert done.returncode == 1
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_profile_still_refuses_what_changes_the_machine(image: str) -> None:
    refused = json.loads(PROFILE.read_text("utf-8"))["syscalls"][0]["names"]

    assert {"kexec_load", "init_module", "finit_module", "bpf", "keyctl", "perf_event_open"} <= set(refused)
    run = ["docker", "run", "--rm", *SECCOMP, image, "python3", "-c", ASK_FOR_MEMORY_POLICY]
    assert subprocess.check_output(run, text=True).strip() == str(errno.EPERM)
