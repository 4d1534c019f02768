"""The SIGKILL campaign: a run that is killed anywhere is finished by the next, which sends little again.

The moment is chosen by the bytes that have gone through the proxies, never by a clock.
`AIRGAP_LONG=1` kills 100 runs.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from registry_doubles.ecr import Ecr, Rate
from registry_doubles.exchange import Rule, parse_path
from registry_doubles.proxy import Proxy
from registry_doubles.recording import Record
from registry_doubles.uploads import AtomicUploads

from .catalogue import Catalogue
from .support import Client
from .test_ecr import HOST

MIB = 1024 * 1024
RUNS = 100 if os.environ.get("AIRGAP_LONG") else 3  # of each kind of destination
LARGE = 36 * MIB  # bytes of the largest blob
COMMAND = (sys.executable, "-m", "dockerimage_replication", "copy")
MODULE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Sides:
    """The recording proxies on both sides of a copy."""

    near: Proxy
    far: Proxy
    far_name: str

    def clear(self) -> None:
        self.near.recording.clear()
        self.far.recording.clear()

    def uploads(self) -> list[Record]:
        return [seen for seen in self.far.recording.seen(part="/blobs/uploads/") if seen.method != "POST"]


async def start(catalogue: Catalogue, sides: Sides, folder: Path, prefix: str) -> asyncio.subprocess.Process:
    """Begin to copy all of the catalogue, with list and lock in `folder`."""
    images = [
        {"src": f"{sides.near.address}/{name}:1", "target": f"{sides.far_name}/{prefix}{name}:1"}
        for name in catalogue.repositories
    ]
    endpoints = json.dumps({HOST: f"http://{sides.far.address}"})
    arguments = [str(written(folder, images)), "--lock", str(folder / "lock.json")]
    arguments += ["--registry-endpoints", endpoints]
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, cwd=MODULE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


def written(folder: Path, images: list[dict[str, str]]) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "images.json"
    file.write_text(json.dumps(images))
    return file


async def finish(process: asyncio.subprocess.Process) -> None:
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def kill_at(process: asyncio.subprocess.Process, sides: Sides, uploaded: int) -> bool:
    """Kill it once so many bytes have arrived at the destination; whether it was still running."""
    reached = sides.far.recording.when_bytes(uploaded)
    ended = asyncio.create_task(process.communicate())
    waiting = asyncio.create_task(asyncio.to_thread(reached.wait, 60))
    await asyncio.wait([ended, waiting], return_when=asyncio.FIRST_COMPLETED)
    running = process.returncode is None
    if running:
        process.kill()
    reached.set()
    await asyncio.gather(ended, waiting)
    return running


def in_flight(sides: Sides) -> dict[str, int]:
    """Uploads of which something was sent and that were not finished: bytes of their largest part."""
    finished = {path_of(seen) for seen in sides.uploads() if seen.method == "PUT" and seen.status == 201}
    parts: dict[str, int] = {}
    for seen in sides.uploads():
        if seen.sent and path_of(seen) not in finished:
            parts[path_of(seen)] = max(parts.get(path_of(seen), 0), length_of(seen))
    return parts


def sent_again(sides: Sides, sizes: Mapping[str, int]) -> int:
    """Bytes that were sent beyond one copy of each blob and repository."""
    puts = [seen for seen in sides.uploads() if seen.method == "PUT"]
    blobs = {(parse_path(path_of(seen)), parse_qs(urlsplit(seen.target).query)["digest"][0]) for seen in puts}
    needed = {(place.repository, digest) for place, digest in blobs if place}
    return sum(seen.sent for seen in sides.uploads()) - sum(sizes[digest] for _, digest in needed)


def length_of(seen: Record) -> int:
    return int(seen.header("Content-Length") or 0)


def path_of(seen: Record) -> str:
    return urlsplit(seen.target).path


@pytest.mark.parametrize("destination_kind", ["ECR", "atomic parts", "docker-registry"])
async def test_the_next_run_finishes_what_a_killed_one_began(
    source: Client, destination: Client, tmp_path: Path, destination_kind: str
) -> None:
    """Where parts are applied as a whole, at most one chunk for each blob in flight is sent again.

    docker-registry forgets an upload whose part broke off: there it is the blob in flight.
    """
    catalogue = await Catalogue.push(source, "killed", large=LARGE)
    is_ecr, is_atomic = destination_kind == "ECR", destination_kind != "docker-registry"
    uploads = AtomicUploads(tells_progress=not is_ecr, minimum_part=0)
    rules: list[Rule] = [uploads] if is_atomic else []
    if is_ecr:
        rules = [Ecr(put_image=Rate(1000), uploads=uploads)]
    with Proxy(source.address) as near, Proxy(destination.address, rules) as far:
        sides = Sides(near, far, HOST if is_ecr else far.address)
        await finish(await start(catalogue, sides, tmp_path / "calm", "calm/"))
        assert sent_again(sides, catalogue.sizes) == 0
        total = far.recording.bytes
        moments = random.Random(destination_kind)  # noqa: S311 - moments, no secrets
        killed = 0
        for number in range(RUNS):
            sides.clear()
            folder, prefix = tmp_path / str(number), f"run-{number}/"
            process = await start(catalogue, sides, folder, prefix)
            killed += await kill_at(process, sides, moments.randrange(1, total))
            await asyncio.to_thread(far.wait_until_idle)
            unfinished = in_flight(sides)
            await finish(await start(catalogue, sides, folder, prefix))
            again = sent_again(sides, catalogue.sizes)
            allowed = sum(unfinished.values() if is_atomic else (LARGE for _ in unfinished))
            print(f"{destination_kind} {number}: in flight {sorted(unfinished.values())}, sent again {again}")
            assert max(map(length_of, sides.uploads())) <= LARGE / 2, "the large blob goes in several parts"
            assert again <= allowed
            assert await catalogue.problems(source, destination, prefix) == []
    assert killed >= RUNS // 2
