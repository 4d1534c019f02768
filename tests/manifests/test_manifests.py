"""Every manifest, as far as that goes without an account."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from collection.interface import read_interface
from collection.modules import REPOSITORY, Module
from support import manifest_checks
from support.deployed_module import parameter_variables
from support.emulator import ACCOUNT
from support.manifests import ModuleUse, all_module_uses, environment_variables, load, module_uses
from support.seedfarmer_env import run_inside

OWN_USES = [use for use in all_module_uses() if not use.path.startswith("git::")]
ISOLATED = Path("manifests/isolated-eks/deployment.yaml")
LOCAL = Path("manifests/local/deployment.yaml")


def test_seedfarmer_itself_understands_it(deployment: Path) -> None:
    variables = dict.fromkeys(environment_variables(deployment), ACCOUNT)

    understood = run_inside("parse_manifests", str(deployment), REPOSITORY, variables)

    assert understood["name"] == deployment.parent.name
    assert understood["modules"] == [
        {"group": use.group, "name": use.name, "account": ACCOUNT} for use in module_uses(deployment)
    ]


def test_what_a_module_takes_an_earlier_one_gives(deployment: Path) -> None:
    assert manifest_checks.reference_problems(module_uses(deployment)) == []


def test_every_parameter_exists_and_every_required_one_is_given(deployment: Path) -> None:
    assert manifest_checks.parameter_problems(module_uses(deployment)) == []


def test_every_module_and_data_file_is_there(deployment: Path) -> None:
    assert manifest_checks.path_problems(module_uses(deployment)) == []


def test_the_account_is_in_no_file(deployment: Path) -> None:
    for mapping in load(deployment)["targetAccountMappings"]:
        assert mapping["accountId"].keys() == {"valueFrom"}


def test_a_module_follows_what_it_depends_on(deployment: Path) -> None:
    assert load(deployment)["forceDependencyRedeploy"] is True


@pytest.mark.parametrize("use", OWN_USES, ids=str)
def test_the_module_accepts_the_values(use: ModuleUse) -> None:
    module = Module(REPOSITORY / use.path)
    package = module.package_name
    code = f"from {package}.settings import Parameters; from {package}.shared.settings import load"
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "SEEDFARMER_PROJECT_NAME": "airgap",
        "SEEDFARMER_DEPLOYMENT_NAME": use.deployment,
        "SEEDFARMER_MODULE_NAME": f"{use.group}-{use.name}",
        **parameter_variables(read_interface(module), use),
    }

    done = subprocess.run(
        [sys.executable, "-c", f"{code}; load(Parameters)"],
        cwd=module.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_local_deployment_leaves_nothing_behind() -> None:
    for use in module_uses(LOCAL):
        assert use.parameters["retention-type"]["value"] == "DESTROY", str(use)


def test_production_keeps_what_others_use() -> None:
    for use in module_uses(ISOLATED):
        assert use.parameters.get("retention-type", {}).get("value", "RETAIN") == "RETAIN", str(use)


def test_the_cluster_installs_the_charts_that_were_replicated() -> None:
    uses = {use.path.split("?")[0].rsplit("/", 1)[-1]: use for use in module_uses(ISOLATED)}
    replication, cluster = uses["dockerimage-replication"], uses["eks"]

    assert replication.group_index < cluster.group_index
    assert replication.data_files == cluster.data_files
    assert replication.parameters["eks-version"] == cluster.parameters["eks-version"]


def test_the_nodes_of_the_production_cluster_have_no_way_to_the_internet() -> None:
    uses = {use.name: use for use in module_uses(ISOLATED)}

    assert uses["vpc"].parameters["internet-accessible"]["value"] is False
    assert uses["eks"].parameters["dataplane-subnet-ids"]["valueFrom"]["moduleMetadata"]["key"] == (
        "IsolatedSubnetIds"
    )
