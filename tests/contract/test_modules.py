"""What holds for every module, whatever it does."""

from collections import Counter

import yaml
from collection import docs, pins, shared_code
from collection.interface import read_interface
from collection.modules import REPOSITORY, Module
from support import module_checks


def test_a_module_has_the_files_that_every_module_has(module: Module) -> None:
    assert module_checks.missing_files(module) == []


def test_requirements_hold_every_package_that_a_build_installs(all_modules: list[Module]) -> None:
    """Direct and transitive; `./scripts/pin-requirements` writes them from uv.lock."""
    assert all_modules
    assert list(pins.outdated()) == []


def test_requirements_are_pinned_as_the_repository_tested_them(module: Module) -> None:
    assert module_checks.requirement_problems(module) == []


def test_a_module_imports_no_other(module: Module, all_modules: list[Module]) -> None:
    assert module_checks.foreign_imports(module, all_modules) == []


def test_every_parameter_is_read_by_the_module(module: Module) -> None:
    assert module_checks.unused_parameters(module, read_interface(module)) == []


def test_every_parameter_and_output_is_described(module: Module) -> None:
    interface = read_interface(module)

    assert [item.name for item in interface.parameters if not item.description] == []
    assert [name for name, description in interface.outputs.items() if not description] == []


def test_every_module_can_keep_what_others_use(module: Module) -> None:
    defaults = {item.name: item.default for item in read_interface(module).parameters}

    assert defaults["retention-type"] == "RETAIN"


def test_the_readme_says_what_a_user_needs(module: Module) -> None:
    assert module_checks.readme_problems(module, read_interface(module)) == []


def test_the_role_policy_takes_what_seedfarmer_gives(module: Module) -> None:
    text = (module.folder / "modulestack.yaml").read_text(encoding="utf-8")
    parameters = yaml.load(text, Loader=_CloudFormationLoader)["Parameters"]  # noqa: S506  a safe loader

    given = {"ProjectName", "DeploymentName", "ModuleName", "RoleName"}
    own = {item.field.replace("_", "") for item in read_interface(module).parameters}
    unknown = [
        name
        for name, declared in parameters.items()
        if name not in given and name.lower() not in own and "Default" not in declared
    ]
    assert unknown == []


def test_package_names_are_unique(all_modules: list[Module]) -> None:
    counted = Counter(module.package_name for module in all_modules)

    assert [name for name, times in counted.items() if times > 1] == []


def test_the_copies_of_the_shared_code_are_equal() -> None:
    assert shared_code.check(REPOSITORY) == []


def test_the_generated_tables_are_what_the_code_says() -> None:
    assert docs.stale(REPOSITORY) == []


class _CloudFormationLoader(yaml.SafeLoader):
    """Reads templates whose short functions (`!Sub`) matter to no check here."""


_CloudFormationLoader.add_multi_constructor("!", lambda loader, suffix, node: None)
