"""`./scripts/local desktop`: a desktop in the browser, a picture of it, and nothing left afterwards."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from desktops import pictures
from desktops.docker import Docker
from desktops.images import Workshop
from localcloud.layout import REPOSITORY

IMAGE = "debian-supervisord-base"


def command(tmp_path: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command line as `./scripts/local` makes it, with a state folder of the test's own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "scripts"),
        "LOCAL_STATE_DIR": str(tmp_path / "state"),
    }
    return [sys.executable, "-m", "localcloud", "desktop", *arguments], environment


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    words, environment = command(tmp_path, *arguments)
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_an_unknown_image_is_answered_with_the_list(tmp_path: Path) -> None:
    done = run(tmp_path, "debian-supervisord-xfce")

    assert done.returncode == 2
    assert "did you mean debian-supervisord-xfce4?" in done.stderr
    assert "arch-systemd-base" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--size", "large"), "must be such as 1280x800"),
        (("--screenshot", "picture.bmp"), "is written as .png"),
        (("--screenshot", "/nowhere/picture.png"), "there is no folder /nowhere"),
        (("--manager", "2019"), "invalid choice"),
    ],
)
def test_wrong_options_are_named_before_anything_is_built(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = run(tmp_path, IMAGE, *arguments)

    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.engine
def test_a_screenshot_has_the_size_that_was_asked_for(workshop: Workshop, tmp_path: Path) -> None:
    workshop.image(IMAGE)
    file = tmp_path / "picture.png"

    done = run(tmp_path, IMAGE, "--screenshot", str(file), "--size", "1000x700", "--manager", "2020")

    assert done.returncode == 0, done.stderr
    assert pictures.read(file).shape == (700, 1000, 3)


@pytest.mark.engine
async def test_the_browser_reaches_the_desktop_and_interrupting_removes_everything(
    docker: Docker, workshop: Workshop, tmp_path: Path
) -> None:
    workshop.image(IMAGE)
    before = traces(docker)
    words, environment = command(tmp_path, IMAGE, "--port", "0")
    running = await asyncio.create_subprocess_exec(*words, env=environment, stdout=asyncio.subprocess.PIPE)
    try:
        assert running.stdout
        address = (await running.stdout.readline()).decode().strip()
        assert address.startswith("http://127.0.0.1:")
        await check_gate(address)
    finally:
        running.send_signal(signal.SIGINT)
        status = await running.wait()
    assert status == 0

    assert traces(docker) <= before


async def check_gate(address: str) -> None:
    """What a browser does with the address; and what others get."""
    page, _, options = address.partition("?")
    root = page.rsplit("/", 2)[0]
    path = next(word for word in options.split("&") if word.startswith("path=")).removeprefix("path=")
    async with aiohttp.ClientSession() as browser:
        async with browser.get(page) as answer:
            assert "noVNC" in await answer.text()
        async with browser.get(f"{root}/vnc.html") as answer:
            assert answer.status == 404, "the page is served without the secret"
        async with browser.ws_connect(f"{root}/{path}") as connection:
            assert (await connection.receive_bytes()).startswith(b"RFB 003.")


def traces(docker: Docker) -> set[str]:
    """Containers and folders that a desktop has."""
    containers = docker.run("ps", "--all", "--quiet", "--no-trunc").split()
    return {*containers, *(str(path) for path in Path("/tmp").glob("airgap-pod-*"))}
