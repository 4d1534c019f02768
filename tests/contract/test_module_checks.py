"""The checks of modules find what they are there to find."""

from pathlib import Path

import pytest
from collection.interface import Interface, Parameter
from collection.modules import Module
from support import module_checks


@pytest.fixture
def made(tmp_path: Path) -> Module:
    """An almost empty module `some-module`, far from the real ones."""
    made = Module(tmp_path / "some-module")
    made.shared.mkdir(parents=True)
    (made.shared / "settings.py").write_text("")
    (made.package / "settings.py").write_text("")
    return made


def interface(*fields: str) -> Interface:
    """An interface with these parameters and one output."""
    parameters = (Parameter(name.replace("_", "-"), name, True, None, "text") for name in fields)
    return Interface(tuple(parameters), {"Uri": "text"})


@pytest.mark.parametrize("line", ["boto3", "boto3>=1.0", "boto3==0.0.1", "no-such-package==1.0"])
def test_a_requirement_that_is_not_the_locked_one_is_found(made: Module, line: str) -> None:
    (made.folder / "requirements.txt").write_text(f"{line}\n")

    assert len(module_checks.requirement_problems(made)) == 1


def test_an_import_of_another_module_is_found(made: Module) -> None:
    (made.package / "x.py").write_text("from other_module.shared import ecr\n")
    other = Module(made.folder.with_name("other-module"))

    found = module_checks.foreign_imports(made, [made, other])

    assert found == ["some_module/x.py imports other_module"]


def test_a_parameter_that_nothing_reads_is_found(made: Module) -> None:
    (made.package / "cli.py").write_text("print(parameters.used)\n")

    unused = module_checks.unused_parameters(made, interface("used", "forgotten"))

    assert [item.name for item in unused] == ["forgotten"]


def test_a_parameter_is_read_through_a_property_that_is_read(made: Module) -> None:
    (made.package / "settings.py").write_text(
        "class Parameters:\n"
        "    def parsed(self): return self.raw\n"
        "    def nobody_asks(self): return self.forgotten\n"
    )
    (made.package / "cli.py").write_text("print(parameters.parsed)\n")

    unused = module_checks.unused_parameters(made, interface("raw", "forgotten"))

    assert [item.name for item in unused] == ["forgotten"]


def test_a_missing_section_and_a_wrong_sample_are_found(made: Module) -> None:
    made.readme.write_text(
        "# some-module\n## Description\n## Parameters\n## Outputs\n"
        '```json\n{"Uri": "x", "Gone": "y"}\n```\n'
        "## IAM\n## Cost and time\n## Destroy\n"
    )

    assert module_checks.readme_problems(made, interface()) == [
        "no section on limits",
        "the section on outputs has no JSON sample with exactly the declared outputs",
    ]
