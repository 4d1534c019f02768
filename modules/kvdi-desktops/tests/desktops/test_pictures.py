"""Each desktop looks as its reference pictures say, in every size, in both families."""

import os
from collections.abc import Callable
from pathlib import Path

import asyncvnc
import numpy as np
import pytest
from desktop_support import built_here, only_long
from desktops import catalogue, pictures
from desktops.launch import Generation
from desktops.pod import Pod
from desktops.references import SIZES
from desktops.rfb import Picture

pytestmark = pytest.mark.engine

FIRST_SIZE = (1280, 720)  # pixels: in which a desktop starts
PAINTING_SECONDS = 180.0  # large desktops take their time beside others' work; how fast is in the benchmark


@pytest.mark.parametrize("name", built_here())
def test_a_desktop_looks_like_its_reference_in_every_size(shared: Callable[[str], Pod], name: str) -> None:
    desktop = catalogue.load()[name].desktop

    for size in SIZES:
        reference = pictures.read(pictures.reference(desktop, size))
        with shared(name).connect() as client:
            client.resize(*size)
            try:
                client.wait_for_picture(
                    lambda seen, wanted=reference: pictures.is_like(seen, wanted), PAINTING_SECONDS
                )
            except TimeoutError:
                kept = keep(client.picture, f"{name}-{size[0]}x{size[1]}.png")
                likeness = pictures.likeness(client.picture, reference)
                pytest.fail(f"{size}: {likeness:.1%} of the blocks are like the reference{kept}")


@only_long
@pytest.mark.parametrize("generation", Generation, ids=lambda generation: generation.value)
@pytest.mark.parametrize("name", [name for name in built_here() if not name.endswith("-base")])
def test_each_manager_launches_each_desktop(
    launched: Callable[..., Pod], name: str, generation: Generation
) -> None:
    desktop = launched(name, generation=generation, restricted=False)
    wanted = pictures.read(pictures.reference(catalogue.load()[name].desktop, FIRST_SIZE))

    with desktop.connect() as client:
        client.wait_for_picture(lambda seen: pictures.is_like(seen, wanted), PAINTING_SECONDS)

    assert desktop.socket.is_socket()
    assert desktop.listening_ports() == set()


async def test_another_client_sees_the_same(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")
    with desktop.connect() as client:
        ours = client.screenshot()

    async with asyncvnc.connect(str(desktop.socket), opener=open_socket) as other:
        theirs = await other.screenshot()

    assert np.array_equal(theirs[:, :, :3], ours)


async def open_socket(path: str, _: int) -> object:
    """asyncvnc asks for a host and a port."""
    import asyncio

    return await asyncio.open_unix_connection(path)


def keep(picture: Picture, name: str) -> str:
    """Keep a picture beside the logs, for whoever looks into the failure."""
    folder = os.environ.get("AIRGAP_TEST_LOGS")
    if not folder:
        return ""
    target = Path(folder) / "desktops" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    pictures.write(picture, target)
    return f"; it is kept in {target}"
