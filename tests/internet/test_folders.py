"""A folder is complete or absent."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from localcloud.internet.folders import filling


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_interrupted_filling_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with filling(tmp_path / "wanted") as temporary:
            assert temporary is not None
            (temporary / "half").write_text("made")
            raise error

    with pytest.raises(error):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-x").mkdir()
    (tmp_path / ".unfinished-x" / "half").write_text("made")
    with filling(tmp_path / "wanted"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "wanted"]


def test_two_runs_at_once_fill_once(tmp_path: Path) -> None:
    filled: list[int] = []

    def run(number: int) -> None:
        with filling(tmp_path / "wanted") as temporary:
            if temporary is not None:
                time.sleep(0.1)
                filled.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(filled) == 1
