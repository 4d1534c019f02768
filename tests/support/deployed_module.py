"""A module as a build has it: bundled by SeedFarmer, in a folder with nothing of the repository around."""

import csv
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collection.interface import Interface
from collection.modules import REPOSITORY, Module

from .manifests import ModuleUse, all_module_uses
from .pinned_env import cache_folder, pinned_environment
from .seedfarmer_env import run_inside

PROJECT = "airgap"
DEPLOYMENT = "bundled"
GROUP_AND_MODULE = "group-module"
STACK = f"{PROJECT}-{DEPLOYMENT}-{GROUP_AND_MODULE}"
OPEN_FINDINGS = ("Non-Compliant", "UNKNOWN")  # the others: Compliant, Suppressed, N/A
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
# What a build finds in variables that a manifest takes from elsewhere.
GIVEN_BY_MODULES = {
    "S3FullPath": "a-bucket/an-inventory.json",
    "DCVImageDigestUri": f"{REGISTRY}/a-repository@sha256:{'0' * 64}",
    "DesktopImageDigestUris": json.dumps({"a-desktop": f"{REGISTRY}/a-desktop@sha256:{'0' * 64}"}),
    "EksClusterName": "a-cluster",
    "EksOidcArn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC",
    "EksClusterMasterRoleArn": "arn:aws:iam::123456789012:role/eks-master",
}
# By the last word of the parameter's name; what is not here is JSON.
GIVEN_BY_ENVIRONMENT = {
    "archive": "s3://a-bucket/an-archive.tgz",
    "key": "s3://a-bucket/a-key",
    "sha256": "0" * 64,
    "fingerprint": "0" * 40,
    "endpoint": "http://127.0.0.1:2278",
}


@dataclass(frozen=True)
class BundledModule:
    """A bundle on disk.

    Attributes:
        folder: where the build runs.
        python: interpreter of an environment that holds the module's own requirements and nothing else.
        environment: all variables that a command of the build sees.
    """

    module: Module
    folder: Path
    python: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the module's Python in the bundle."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def synthesise(self, outputs: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run `app.py` as `cdk deploy` does and return the stack's template.

        Without `outputs` there was no deploy before, as on destroy.
        """
        given = self.folder / "module-outputs.json"
        given.unlink(missing_ok=True)
        if outputs is not None:
            given.write_text(json.dumps(outputs))
        done = self.run("app.py")
        if done.returncode != 0:
            raise AssertionError(f"app.py of {self.module.name} failed:\n{done.stdout}{done.stderr}")
        template: dict[str, Any] = json.loads((self.assembly / f"{STACK}.template.json").read_text())
        return template

    @property
    def assembly(self) -> Path:
        """Where `app.py` puts what it synthesises."""
        return Path(self.environment["CDK_OUTDIR"])

    def nag_findings(self) -> list[str]:
        """What cdk-nag reported as neither compliant nor suppressed with a reason.

        Raises:
            AssertionError: there is no report: the app does not ask cdk-nag.
        """
        reports = list(self.assembly.glob("AwsSolutions-*-NagReport.csv"))
        if not reports:
            raise AssertionError(f"app.py of {self.module.name} does not apply cdk-nag's AwsSolutions")
        rows = [row for report in reports for row in csv.DictReader(report.open(newline=""))]
        found = [row for row in rows if row["Compliance"] in OPEN_FINDINGS]
        return [f"{row['Rule ID']} {row['Resource ID']}" for row in found]


def bundle(module: Module, interface: Interface, workspace: Path) -> BundledModule:
    """Bundle a module with the data files that its first use in a manifest gives it."""
    use = _first_use(module)
    project = workspace / "project"
    project.mkdir(parents=True)
    (project / "seedfarmer.yaml").write_text(f"project: {PROJECT}\ndescription: a bundle on its own\n")
    files = {path: str(REPOSITORY / path) for path in use.data_files} if use else {}
    made = Path(run_inside("bundle", {"module": str(module.folder), "files": files}, project))
    requirements = made / "module" / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    python = pinned_environment(f"module-{digest}", requirements) / "bin" / "python"
    environment = {**_environment(workspace), **(parameter_variables(interface, use) if use else {})}
    return BundledModule(module, made / "module", python, environment)


def _first_use(module: Module) -> ModuleUse | None:
    path = f"modules/{module.name}"
    return next((use for use in all_module_uses() if use.path.rstrip("/") == path), None)


def _environment(workspace: Path) -> dict[str, str]:
    home = workspace / "home"
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cache_folder() / "jsii"),
        "CDK_OUTDIR": str(workspace / "cdk.out"),
        "CDK_DEFAULT_ACCOUNT": "123456789012",
        "CDK_DEFAULT_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SEEDFARMER_PROJECT_NAME": PROJECT,
        "SEEDFARMER_DEPLOYMENT_NAME": DEPLOYMENT,
        "SEEDFARMER_MODULE_NAME": GROUP_AND_MODULE,
    }


def parameter_variables(interface: Interface, use: ModuleUse) -> dict[str, str]:
    """The variables in which a build finds the parameters of a manifest."""
    fields = {item.name: item.field for item in interface.parameters}
    return {
        f"SEEDFARMER_PARAMETER_{fields.get(name, name.replace('-', '_')).upper()}": _value(name, entry)
        for name, entry in use.parameters.items()
    }


def _value(name: str, entry: Mapping[str, Any]) -> str:
    """As SeedFarmer puts it into the environment: strings as they are, the rest as JSON."""
    if "valueFrom" in entry:
        taken = entry["valueFrom"].get("moduleMetadata")
        return GIVEN_BY_MODULES[taken["key"]] if taken else _given_by_environment(name)
    value = entry["value"]
    return value if isinstance(value, str) else json.dumps(value)


def _given_by_environment(name: str) -> str:
    return GIVEN_BY_ENVIRONMENT.get(name.rpartition("-")[2], "{}")
