"""The same request on two workers that have nothing in common makes the same image, byte for byte."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from .processes import clean_environment, open_folder
from .registries import docker_registry, push_small_image
from .unprivileged import USER, as_nobody

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

COUNT = 100 if os.environ.get("AIRGAP_LONG") else 3
SCRIPT = Path(__file__).with_name("digest_worker.py")
DAYS = 86_400.0

Way = Callable[[str, int], dict[str, Any]]


def assembled(registry: str, number: int) -> dict[str, Any]:
    content = base64.b64encode(f"file {number}\n".encode()).decode()
    return {
        "name": f"image-{number}",
        "layers": [
            {"layer_type": "stage", "base": f"{registry}/bases/small", "tag": "1"},
            {"layer_type": "copy", "source": "b", "destination": "/srv/"},
            {"layer_type": "copy", "source": "a", "destination": "/new/folder/a", "permissions": "0750"},
            {"layer_type": "workdir", "path": f"/work/{number}"},
            {"layer_type": "env", "keys": ["B", "A"], "values": [str(number), "1"]},
        ],
        "files": {"a": {"content": content, "mode": "0755"}, "b": {"content": content}},
    }


def with_commands(registry: str, number: int) -> dict[str, Any]:
    request = assembled(registry, number)
    script = (
        f"cd /srv; echo {number} > made; umask; busybox mkdir -p z/y; busybox ln -s made link; "
        "busybox ln made hard; busybox mkfifo pipe; busybox chown 7:8 z; busybox rm /etc/os-release"
    )
    request["layers"].insert(2, {"layer_type": "run", "command": script})
    return request


@pytest.mark.parametrize("way", [assembled, with_commands])
def test_two_workers_make_the_same_digests(way: Way, tmp_path: Path) -> None:
    """Own user, home, cache, clock, time zone, language and umask."""
    with (
        docker_registry(tmp_path / "registry") as registry,
        open_folder() as first,
        open_folder() as second,
    ):
        push_small_image(registry, "bases/small", "1", programs=True)
        os.chown(second, USER, USER)
        requests = [way(registry, number) for number in range(COUNT)]

        here = worker(requests, first, [f"{registry}/first", str(first), "0", "022"])
        there = worker(
            requests,
            second,
            [f"{registry}/second", str(second), str(400 * DAYS), "077"],
            as_nobody(second, runs_commands=True),
            TZ="Asia/Kathmandu",
            LANG="de_DE.UTF-8",
        )

    assert here == there
    assert len(set(here)) == COUNT


def worker(
    requests: list[dict[str, Any]],
    home: Path,
    arguments: list[str],
    within: Sequence[str] = (),
    **variables: str,
) -> list[str]:
    done = subprocess.run(
        [*within, sys.executable, str(SCRIPT), *arguments],
        env=clean_environment({"HOME": str(home), "TZ": "UTC", **variables}),
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    digests: list[str] = json.loads(done.stdout)
    return digests
