"""`new-module` makes a module that deploys, tests and documents itself, or nothing at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from collection.interface import read_interface
from collection.modules import Module, modules
from support import module_checks
from support.checkout import checkout, run_script
from support.deployed_module import bundle
from support.pinned_env import cache_folder

NAME = "sample-tool"


def tool(name: str, repository: Path, *arguments: str) -> None:
    """Run a tool of the development environment in a checkout; its report is the failure's message."""
    environment = {
        **os.environ,
        "MYPYPATH": str(repository / "modules" / NAME),
        "MYPY_CACHE_DIR": str(cache_folder() / "mypy"),
    }
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout of the test's own."""
    return checkout(tmp_path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Module:
    """A new module in a checkout that several tests look at."""
    repository = checkout(tmp_path_factory.mktemp("repository"))
    done = run_script(repository, "newmodule", NAME)
    assert done.returncode == 0, done.stderr
    return Module(repository / "modules" / NAME)


def test_it_says_how_to_go_on(repository: Path) -> None:
    done = run_script(repository, "newmodule", NAME)

    assert done.returncode == 0
    assert f"path: modules/{NAME}" in done.stdout
    assert f"git::https://HOST/ORGANISATION/REPOSITORY.git//modules/{NAME}?ref=TAG" in done.stdout


def test_the_new_module_passes_its_own_tests(made: Module) -> None:
    tool("pytest", made.folder.parents[1], "-q", f"modules/{NAME}")


def test_the_new_module_is_clean(made: Module) -> None:
    repository = made.folder.parents[1]
    for name, *arguments in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        tool(name, repository, *arguments, f"modules/{NAME}")


def test_the_new_module_keeps_the_contract_of_all_modules(made: Module) -> None:
    repository = made.folder.parents[1]
    interface = read_interface(made)

    assert module_checks.missing_files(made) == []
    assert module_checks.deployspec_problems(made, repository) == []
    assert module_checks.requirement_problems(made, repository) == []
    assert module_checks.foreign_imports(made, modules(repository)) == []
    assert module_checks.unused_parameters(made, interface) == []
    assert module_checks.readme_problems(made, interface) == []


def test_its_tables_are_filled_from_its_code(made: Module) -> None:
    readme = made.readme.read_text()

    assert "| `greeting` | `hello` |" in readme
    assert "| `GreetingParameterName` |" in readme


def test_it_runs_from_its_bundle(made: Module, tmp_path: Path) -> None:
    bundled = bundle(made, read_interface(made), tmp_path)

    assert bundled.run("-m", made.package_name, "apply").returncode == 0
    resources = bundled.synthesise().get("Resources", {}).values()
    assert [item["Type"] for item in resources if not item["Type"].startswith("AWS::CDK")] == [
        "AWS::SSM::Parameter"
    ]
    assert bundled.nag_findings() == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Sample", "kebab-case"),
        ("sample_tool", "kebab-case"),
        ("sample--tool", "kebab-case"),
        ("-sample", "unrecognized|required|expected"),
        ("1sample", "kebab-case"),
        ("../sample", "kebab-case"),
        ("dockerimage-replication", "exists already"),
        ("boto3", "already import"),
        ("json", "already import"),
        ("import", "cannot import"),
        ("build", "already import"),
        ("a" * 41, "at most 40"),
    ],
)
def test_a_bad_name_gives_one_message_and_makes_nothing(repository: Path, name: str, reason: str) -> None:
    before = sorted(path.name for path in (repository / "modules").iterdir())

    done = run_script(repository, "newmodule", name)

    assert done.returncode == 2
    assert any(word in done.stderr for word in reason.split("|"))
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (repository / "modules").iterdir()) == before


def test_a_failure_half_way_makes_nothing(repository: Path) -> None:
    (repository / "scripts" / "newmodule" / "template" / "zzz.in").write_text("@NOTHING@")

    done = run_script(repository, "newmodule", NAME)

    assert done.returncode == 1
    assert "@NOTHING@" in done.stderr
    assert [path.name for path in (repository / "modules").iterdir()] == ["dockerimage-replication"]
