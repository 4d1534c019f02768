"""The journal: what it says after a kill, and to whom."""

import json
from pathlib import Path

import pytest
from dockerimage_replication.oci.journal import Journal
from dockerimage_replication.shared.errors import UserError

PLACE = ("registry.test/a", "sha256:" + "a" * 64)
OTHER = ("registry.test/b", "sha256:" + "b" * 64)
SECRET = "https://registry.test/v2/a/blobs/uploads/1?_state=secret"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock.json.journal"


def killed(path: Path) -> None:
    """A run that noted two uploads and had no time to say goodbye."""
    journal = Journal(path)
    journal.note(*PLACE, SECRET, 8)
    journal.note(*PLACE, SECRET, 16)
    journal.note(*OTHER, SECRET, 4)


def test_the_last_step_of_each_upload_counts(path: Path) -> None:
    killed(path)
    with Journal(path) as journal:
        assert journal.recall(*PLACE) == (SECRET, 16)
        assert journal.recall(*OTHER) == (SECRET, 4)
        assert journal.recall(PLACE[0], OTHER[1]) is None
        journal.forget(*PLACE)
    assert Journal(path).recall(*PLACE) is None
    assert Journal(path).recall(*OTHER) == (SECRET, 4)


def test_the_file_is_gone_when_nothing_is_under_way(path: Path) -> None:
    killed(path)
    with Journal(path) as journal:
        journal.forget(*PLACE)
        journal.forget(*OTHER)
        assert path.exists()
    assert not path.exists()
    with Journal(path):
        pass
    assert not path.exists()


def test_without_a_file_it_lasts_as_long_as_the_process(tmp_path: Path) -> None:
    with Journal() as journal:
        journal.note(*PLACE, SECRET, 8)
        assert journal.recall(*PLACE) == (SECRET, 8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there_before", [False, True])
def test_nobody_else_may_read_it(path: Path, there_before: bool) -> None:
    if there_before:
        path.write_text("")
        path.chmod(0o644)
    killed(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", range(0, 160, 7))
def test_a_torn_line_takes_no_other_line_along(path: Path, kept: int) -> None:
    """Neither those before it, nor the first one of the next run."""
    killed(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - kept])
    with Journal(path) as journal:
        journal.note("registry.test/new", OTHER[1], SECRET, 99)
    assert Journal(path).recall("registry.test/new", OTHER[1]) == (SECRET, 99)
    assert Journal(path).recall(*PLACE) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no JSON",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"[]",
        b'"text"',
        b"null",
        b'{"repository": "x"}',
        b'{"repository": "x", "digest": "y", "location": "z"}',
        b'{"repository": "x", "digest": "y", "location": "z", "offset": "many"}',
        b'{"repository": "x", "digest": "y", "location": "z", "offset": Infinity}',
        b'{"repository": "x", "digest": "y", "location": "z", "offset": null}',
    ],
)
def test_what_is_no_step_is_as_if_it_were_not_there(path: Path, line: bytes) -> None:
    killed(path)
    path.write_bytes(line + b"\n" + path.read_bytes() + line)
    journal = Journal(path)
    assert journal.recall(*PLACE) == (SECRET, 16)
    assert journal.recall("x", "y") is None


def test_a_journal_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"journal {tmp_path} cannot be read: Is a directory"):
        Journal(tmp_path)
    nowhere = tmp_path / "nowhere" / "journal"
    with pytest.raises(UserError, match=f"journal {nowhere} cannot be written: No such file"):
        Journal(nowhere).note(*PLACE, SECRET, 1)


def test_each_line_is_one_step(path: Path) -> None:
    killed(path)
    steps = [json.loads(line) for line in path.read_bytes().splitlines() if line]
    assert [step["offset"] for step in steps] == [8, 16, 4]
