"""A module is complete by itself: what SeedFarmer's own bundler ships of it runs with nothing around it."""

import json
from pathlib import Path

import pytest
from collection.interface import Interface, read_interface
from collection.modules import Module
from support.deployed_module import STACK, BundledModule, bundle


@pytest.fixture
def interface(module: Module) -> Interface:
    """What the module declares."""
    return read_interface(module)


@pytest.fixture
def bundled(module: Module, interface: Interface, tmp_path: Path) -> BundledModule:
    """The module, bundled, with an environment made from its own requirements."""
    return bundle(module, interface, tmp_path)


def test_the_bundle_has_no_trace_of_the_repository(bundled: BundledModule) -> None:
    around = {path.name for path in bundled.folder.parent.iterdir()} - {"module"}

    assert around == {"retrieve_docker_creds.py", "pypi_mirror_support.py", "npm_mirror_support.py"}


@pytest.mark.parametrize("command", ["apply", "destroy"])
def test_the_modules_own_command_runs(bundled: BundledModule, module: Module, command: str) -> None:
    shown = bundled.run("-m", module.package_name, command, "--help")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "usage:" in shown.stdout


def test_the_app_hands_every_declared_output_to_seedfarmer(
    bundled: BundledModule, interface: Interface
) -> None:
    given = {name: f"value-of-{name}" for name in interface.outputs}

    template = bundled.synthesise(given)

    metadata = json.dumps(template["Outputs"]["metadata"]["Value"])
    assert [name for name in interface.outputs if f'\\"{name}\\"' not in metadata] == []
    assert bundled.nag_findings() == []


def test_the_app_synthesises_on_destroy_where_no_deploy_was(bundled: BundledModule) -> None:
    template = bundled.synthesise()

    assert "metadata" in template["Outputs"]
    assert (bundled.assembly / f"{STACK}.template.json").exists()
