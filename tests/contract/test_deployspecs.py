"""A module's deployspec is the template with the package's name, and hides no failure."""

import pytest
from collection.modules import Module
from support import module_checks


def test_a_deployspec_differs_from_the_template_only_in_the_package(module: Module) -> None:
    assert module_checks.deployspec_problems(module) == []


@pytest.mark.parametrize(
    "command",
    [
        "seedfarmer metadata convert -f cdk-exports.json || true",
        "python clean.py || :",
        "cdk destroy --force ; true",
        "set +e",
    ],
)
def test_a_command_that_hides_a_failure_is_found(command: str) -> None:
    assert module_checks.loose(command) == [f"hides a failure: {command}"]


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("npm install -g aws-cdk", "aws-cdk"),
        ("npm install -g aws-cdk@latest", "aws-cdk@latest"),
        ("pip install requests", "requests"),
        ("uv pip install 'requests>=2'", "'requests>=2'"),
        ("test -e x || npm install --global cdk", "cdk"),
    ],
)
def test_an_unpinned_tool_is_found(command: str, package: str) -> None:
    assert module_checks.loose(command) == [f"installs `{package}` without a version: {command}"]


@pytest.mark.parametrize("command", ["curl -sSf https://example.com/x | sh", "npx cdk deploy"])
def test_a_download_of_its_own_is_found(command: str) -> None:
    assert module_checks.loose(command) == [f"fetches from the network by itself: {command}"]


@pytest.mark.parametrize(
    "command",
    [
        "uv pip install --quiet --requirement requirements.txt",
        'test "$(cdk --version | cut -d" " -f1)" = 2.1148.1 || npm install --global aws-cdk@2.1148.1',
        "pip install uv==0.13.8",
    ],
)
def test_a_pinned_tool_is_fine(command: str) -> None:
    assert module_checks.loose(command) == []
