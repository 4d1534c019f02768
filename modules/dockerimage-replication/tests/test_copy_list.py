"""`copy LIST`: images from registry to registry, with a lock, without AWS."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dockerimage_replication.cli import main
from registry_doubles.proxy import Proxy
from replication_support import Client, docker_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


class Copies:
    """A list of images in a folder, their source and their destination."""

    def __init__(self, folder: Path, near: Proxy, far: Proxy) -> None:
        self.list, self.lock = folder / "images.json", folder / "lock.json"
        self.near, self.far = near, far
        self.source, self.destination = Client(near.address), Client(far.address)

    def write(self, *images: tuple[str, str]) -> None:
        entries = [
            {"src": f"{self.near.address}/{source}", "target": f"{self.far.address}/{target}"}
            for source, target in images
        ]
        self.list.write_text(json.dumps(entries))

    def run(self, *options: str) -> int:
        self.near.recording.clear()
        self.far.recording.clear()
        return main(["copy", str(self.list), "--lock", str(self.lock), *options])


@pytest.fixture
def copies(
    tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Copies]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with Proxy(registry) as near, docker_registry(tmp_path / "far") as address, Proxy(address) as far:
        yield Copies(tmp_path, near, far)


def test_each_image_arrives_with_its_digest(copies: Copies, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = copies.source.push_image("list/a", "1"), copies.source.push_image("list/b", "2")
    copies.write(("list/a:1", "one/a:1"), ("list/b:2", "b:2"), ("list/a:1", "one/a:1"))
    assert main(["copy", str(copies.list), "--json"]) == 0
    assert copies.destination.digest("one/a", "1") == first
    assert copies.destination.digest("b", "2") == second
    report: dict[str, Any] = json.loads(capsys.readouterr().out)  # nothing but JSON
    assert [image["digest"] for image in report["images"]] == [second, first]
    assert report["failures"] == []
    assert not copies.lock.exists()


def test_with_a_lock_nothing_to_do_asks_no_source_and_each_destination_once(copies: Copies) -> None:
    copies.source.push_image("list/noop", "1")
    copies.write(("list/noop:1", "noop:1"))
    assert copies.run() == 0
    assert copies.run() == 0
    assert copies.near.recording.records == []
    assert [seen.method for seen in copies.far.recording.records] == ["HEAD"]
    assert sorted(path.name for path in copies.list.parent.glob("lock*")) == ["lock.json"]


def test_a_tag_that_moved_is_followed_with_refresh_only(copies: Copies) -> None:
    old = copies.source.push_image("list/moved", "1", b"old")
    copies.write(("list/moved:1", "moved:1"))
    copies.run()
    new = copies.source.push_image("list/moved", "1", b"new")
    assert copies.run() == 0
    assert copies.destination.digest("moved", "1") == old
    assert copies.run("--refresh") == 0
    assert copies.destination.digest("moved", "1") == new
    assert copies.run() == 0
    assert copies.near.recording.records == []


def test_a_new_signature_comes_with_refresh(copies: Copies) -> None:
    digest = copies.source.push_image("list/signed", "1")
    copies.write(("list/signed:1", "signed:1"))
    copies.run()
    signature = digest.replace(":", "-") + ".sig"
    copies.source.push_image("list/signed", signature)
    copies.run()
    assert copies.destination.digest("signed", signature) is None
    assert copies.run("--refresh") == 0
    assert copies.destination.digest("signed", signature) is not None
    assert json.loads(copies.lock.read_bytes())["images"][f"{copies.far.address}/signed:1"]["attached"] == [
        signature
    ]


def test_what_fails_is_named_for_each_target_and_the_others_are_in_place(
    copies: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    good = copies.source.push_image("list/good", "1")
    copies.write(("list/missing:1", "x:1"), ("list/good:1", "good:1"), ("list/missing:1", "y:1"))
    assert copies.run("--json") == 1
    assert copies.destination.digest("good", "1") == good
    output = capsys.readouterr()
    assert "2 of 3 images could not be copied" in output.err
    failures = json.loads(output.out)["failures"]
    assert [failure["private"].rpartition("/")[2] for failure in failures] == ["x:1", "y:1"]
    assert all("not found (HTTP 404" in failure["reason"] for failure in failures)
    assert list(json.loads(copies.lock.read_bytes())["images"]) == [f"{copies.far.address}/good:1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "is not a list"),
        ("[5]", "entry 1 of"),
        ('[{"src": "a:1"}]', "no texts `src` and `target`"),
        ('[{"src": "a:1", "target": 5}]', "no texts `src` and `target`"),
        ('[{"src": "A B", "target": "x.test/a:1"}]', "entry 1 of"),
        ('[{"src": "a:1", "target": "x.test/a:1"}, {"src": "b:1", "target": "x.test/a:1"}]', "two sources"),
    ],
)
def test_a_list_that_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "images.json"
    path.write_text(content)
    assert main(["copy", str(path)]) != 0
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert str(path) in error


def test_a_list_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", str(tmp_path / "none.json")]) != 0
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_lock_of_another_version_is_not_read_and_not_written(
    copies: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    copies.source.push_image("list/version", "1")
    copies.write(("list/version:1", "version:1"))
    copies.lock.write_text('{"version": 99}')
    assert copies.run() == 1
    assert "is a lock of version 99" in capsys.readouterr().err
    assert copies.lock.read_text() == '{"version": 99}'
    assert copies.destination.digest("version", "1") is None
    assert copies.run("--refresh") == 0
    assert json.loads(copies.lock.read_bytes())["version"] == 1


def test_ctrl_c_ends_with_130_and_one_line(copies: Copies) -> None:
    import asyncio
    import signal
    import threading

    from registry_doubles.exchange import Forward, Reply, Request

    reached = threading.Event()

    async def hang(request: Request, forward: Forward) -> Reply:
        reached.set()
        await asyncio.sleep(3600)
        return await forward(request)

    with Proxy("127.0.0.1:1", [hang]) as far:
        entry = {"src": f"{copies.near.address}/list/a:1", "target": f"{far.address}/a:1"}
        copies.list.write_text(json.dumps([entry]))
        command = [sys.executable, "-m", "dockerimage_replication", "copy", str(copies.list)]
        with subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.PIPE) as process:
            assert reached.wait(30)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.decode() == "error: interrupted; the next run continues where this one stopped\n"
