"""Redeploying modules whose data files changed.

SeedFarmer 8.0.9 leaves local data files out of a module's checksum: it joins the file's path to itself
(seedfarmer/checksum.py, `get_module_md5`), finds no such file, and hashes nothing. `seedfarmer taint
module` is its own way to say that a module must be deployed again.
"""

import json
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
    """

    record: Path
    project: Path

    def taint_changed(self, seedfarmer: SeedFarmer, deployment: Deployment) -> None:
        """Mark each module for redeployment whose data files are not those of its last deployment."""
        known = self._read()
        for module in deployment.modules:
            key = _key(deployment, module)
            if key in known and known[key] != data_digest(self.project, module):
                seedfarmer.progress.say(
                    f"the data files of {module.group}-{module.name} changed: deploying it again"
                )
                seedfarmer.run(
                    [
                        "taint",
                        "module",
                        "-d",
                        deployment.name,
                        "-g",
                        module.group,
                        "-m",
                        module.name,
                        "--local",
                    ],
                    "seedfarmer-taint",
                )

    def remember(self, deployment: Deployment) -> None:
        """Keep the digests of what was just deployed."""
        current = {
            _key(deployment, module): data_digest(self.project, module) for module in deployment.modules
        }
        self._write({**self._read(), **current})

    def forget(self, deployment: Deployment) -> None:
        """Drop the digests of a deployment that is gone."""
        gone = {_key(deployment, module) for module in deployment.modules}
        self._write({key: digest for key, digest in self._read().items() if key not in gone})

    def _read(self) -> dict[str, str]:
        known: dict[str, str] = json.loads(self.record.read_text("utf-8")) if self.record.exists() else {}
        return known

    def _write(self, known: dict[str, str]) -> None:
        self.record.write_text(json.dumps(known, indent=1), encoding="utf-8")


def _key(deployment: Deployment, module: Module) -> str:
    return f"{deployment.name}/{module.group}/{module.name}"
