"""Parses a deployment manifest with its groups as SeedFarmer does; answers with what it understood.

Runs in SeedFarmer's environment, in the project's folder.
"""

import json
import sys
from pathlib import Path

import yaml
from seedfarmer.models.manifests import (  # type: ignore[import-not-found]
    DeploymentManifest,
    ModuleManifest,
)


def main() -> None:
    """Read the manifest's path, parse, answer."""
    path = json.load(sys.stdin)
    deployment = DeploymentManifest(**yaml.safe_load(Path(path).read_text()))
    for group in deployment.groups:
        documents = yaml.safe_load_all(Path(group.path).read_text())
        group.modules = [ModuleManifest(**document) for document in documents]
    deployment.validate_and_set_module_defaults()
    answer = {
        "name": deployment.name,
        "modules": [
            {"group": group.name, "name": module.name, "account": module.get_target_account_id()}
            for group in deployment.groups
            for module in group.modules
        ],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
