"""Desktops for the tests: images built once, launched as kVDI would, shared where a test changes nothing."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
for folder in (REPOSITORY / "scripts", Path(__file__).resolve().parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import desktop_support  # noqa: E402
from desktops import catalogue, pod  # noqa: E402
from desktops.docker import Docker  # noqa: E402
from desktops.images import Workshop  # noqa: E402
from desktops.launch import Launch  # noqa: E402
from localcloud.layout import Layout  # noqa: E402


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The container engine."""
    client = Docker()
    if not shutil.which("docker") or client.attempt("info").returncode != 0:
        pytest.skip("there is no container engine: set DOCKER_HOST, or use ./scripts/test")
    return client


@pytest.fixture(scope="session")
def workshop(docker: Docker) -> Workshop:
    """Builds images; those of an earlier run with the same files are used again."""
    return Workshop(docker, Layout.from_environment().cache, lambda message: print(message, file=sys.stderr))


@pytest.fixture(scope="session")
def launch_of(workshop: Workshop) -> Callable[[str], Launch]:
    """How an image is launched: by the manager of 2021, in a cluster that allows the least."""

    def launch(name: str) -> Launch:
        image = catalogue.find(catalogue.load(), name)
        return Launch(workshop.image(name), image.family, restricted=True)

    return launch


@pytest.fixture(scope="session")
def shared(docker: Docker, launch_of: Callable[[str], Launch]) -> Iterator[Callable[[str], pod.Pod]]:
    """A running desktop of an image, one for all tests that leave it as it was."""
    found: dict[str, pod.Pod] = {}
    with ExitStack() as stack:

        def desktop(name: str) -> pod.Pod:
            if name not in found:
                found[name] = stack.enter_context(pod.running(docker, launch_of(name)))
                found[name].connect().close()
            return found[name]

        yield desktop


@pytest.fixture
def launched(docker: Docker, launch_of: Callable[[str], Launch]) -> Iterator[Callable[..., pod.Pod]]:
    """Starts a desktop of the test's own: name of the image, and what of its launch is different."""
    with ExitStack() as stack:

        def launch(name: str, **changes: object) -> pod.Pod:
            how = replace(launch_of(name), **changes)  # type: ignore[arg-type]
            return stack.enter_context(pod.running(docker, how))

        yield launch


@pytest.fixture(params=desktop_support.FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each family in turn."""
    return str(request.param)
