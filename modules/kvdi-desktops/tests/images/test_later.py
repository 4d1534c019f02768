"""A module that is loaded when it is used, and not before."""

import sys
from pathlib import Path

import pytest
from kvdi_desktop.later import load_later


def test_it_is_loaded_with_its_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slow_to_load.py").write_text("print('loaded')\nVALUE = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_to_load", raising=False)

    load_later("slow_to_load")
    import slow_to_load  # type: ignore[import-not-found]

    assert capsys.readouterr().out == ""
    assert slow_to_load.VALUE == 7
    assert capsys.readouterr().out == "loaded\n"


def test_what_is_not_installed_is_missed_with_its_first_use() -> None:
    load_later("no_such_module")
    import no_such_module  # type: ignore[import-not-found]

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = no_such_module.VALUE
