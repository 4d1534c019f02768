"""Redeploying modules whose data files changed.

SeedFarmer 8.0.9 leaves local data files out of a module's checksum: it joins the file's path to itself
(seedfarmer/checksum.py, `get_module_md5`), finds no such file, and hashes nothing. `seedfarmer taint
module` is its own way to say that a module must be deployed again.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .manifests import Deployment, Module, data_digest
from .seedfarmer import SeedFarmer


@dataclass(frozen=True)
class DataFiles:
    """Digests of the data files that were last deployed.

    Attributes:
        record: the file that keeps them.
        project: folder of the project that the data files lie in.
        builds: folder with one folder for each module that a build was ever started of.
    """

    record: Path
    project: Path
    builds: Path

    def taint_changed(self, seedfarmer: SeedFarmer, deployment: Deployment) -> None:
        """Mark each module for redeployment whose data files are not those of its last deployment.

        Where a run was cut off nobody knows which data files it deployed: such a module is marked too.
        """
        known = self._read()
        for module in deployment.modules:
            build = self.builds / build_id(deployment, module)
            if (
                not module.data_files
                or not build.is_dir()
                or known.get(build.name) == data_digest(self.project, module)
            ):
                continue
            seedfarmer.progress.say(f"the data files of {build.name} changed: deploying it again")
            seedfarmer.run(
                ["taint", "module", "-d", deployment.name, "-g", module.group, "-m", module.name, "--local"],
                "seedfarmer-taint",
            ).require_success()

    def remember(self, deployment: Deployment, built: Collection[str]) -> None:
        """Keep the digests of the modules that were just built, by the ids of their builds."""
        digests = {
            build_id(deployment, module): data_digest(self.project, module) for module in deployment.modules
        }
        self._write({**self._read(), **{name: digests[name] for name in built if name in digests}})

    def forget(self, deployment: Deployment) -> None:
        """Drop the digests of a deployment that is gone."""
        gone = {build_id(deployment, module) for module in deployment.modules}
        self._write({key: digest for key, digest in self._read().items() if key not in gone})

    def _read(self) -> dict[str, str]:
        try:
            known: dict[str, str] = json.loads(self.record.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}  # nothing known, or a record that a full disk cut off: the modules are marked again
        return known

    def _write(self, known: dict[str, str]) -> None:
        self.record.write_text(json.dumps(known, indent=1), encoding="utf-8")


def build_id(deployment: Deployment, module: Module) -> str:
    """The id that SeedFarmer gives a module's build."""
    return f"{deployment.name}-{module.group}-{module.name}"
