"""What builds use of the memory is measured while their processes come and go."""

import os
from pathlib import Path

from image_builder.jobs.memory import memory_percent


def test_a_child_that_ends_while_it_is_looked_at_is_left_out(tmp_path: Path) -> None:
    """Its number stands in its parent's list of children, and its folder is gone."""
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "task" / "7" / "children").write_text("8 ")
    (tmp_path / "7" / "statm").write_text("9 3 1 1 0 1 0\n")
    (tmp_path / "meminfo").write_text("MemTotal:       1 kB\n")

    assert memory_percent(7, tmp_path) == 100 * 3 * 4096 / 1024


def test_this_process_uses_some() -> None:
    assert 0 < memory_percent(os.getpid()) < 100
