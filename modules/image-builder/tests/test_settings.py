"""Parameters: defaults, and one message for everything that is wrong."""

import pytest
from image_builder.settings import Parameters
from image_builder.shared.errors import ParameterError
from image_builder.shared.settings import load


def test_without_parameters_the_defaults_hold() -> None:
    _, parameters = load(Parameters)

    assert parameters.greeting == "hello"
    assert parameters.retention_type == "RETAIN"


def test_a_manifest_parameter_reaches_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_GREETING", "good morning")

    _, parameters = load(Parameters)

    assert parameters.greeting == "good morning"


def test_all_problems_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_GREETING", "x" * 4097)
    monkeypatch.setenv("SEEDFARMER_PARAMETER_RETENTION_TYPE", "KEEP")

    with pytest.raises(ParameterError) as raised:
        load(Parameters)

    assert "`greeting`" in str(raised.value)
    assert "`retention-type`" in str(raised.value)
    assert raised.value.exit_status == 2
