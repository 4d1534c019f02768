"""How long the local cloud takes when everything is warm: SeedFarmer's own sleeps are part of it.

No peer does the same thing, so the goals are seconds, on two cores. They are for two modules, replication
and the DCV image.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from localcloud.layout import REPOSITORY
from localcloud.tools import CDK_VERSION, SEEDFARMER_VERSION

from .result import Goal, Report, Result

VERSIONS = {"seed-farmer": SEEDFARMER_VERSION, "aws-cdk": CDK_VERSION}
PORT_BASE = "23566"


def measure(runs: int) -> Report:
    """Time `apply` of two modules after a `destroy`, and an `apply` with nothing to do."""
    with tempfile.TemporaryDirectory(prefix="airgap-bench-project-") as folder:
        applies, re_applies = _timed(_two_modules(Path(folder)), runs)
    results = [
        Result.of_runs("apply_warm_s", "s", applies, Goal("ours", "<=", 45.0)),
        Result.of_runs("reapply_s", "s", re_applies, Goal("ours", "<=", 15.0)),
    ]
    return Report(results, VERSIONS)


def _two_modules(project: Path) -> Path:
    """Make a project that is this one without the other modules."""
    for name in ("data", "modules", "manifests"):
        shutil.copytree(REPOSITORY / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "seedfarmer.yaml", project)
    manifests = project / "manifests" / "local"
    deployment = yaml.safe_load((manifests / "deployment.yaml").read_text("utf-8"))
    deployment["groups"] = [group for group in deployment["groups"] if group["name"] != "builders"]
    (manifests / "deployment.yaml").write_text(yaml.safe_dump(deployment), encoding="utf-8")
    images = yaml.safe_load_all((manifests / "image-modules.yaml").read_text("utf-8"))
    dcv = [module for module in images if module["name"] == "dcv"]
    (manifests / "image-modules.yaml").write_text(yaml.safe_dump_all(dcv), encoding="utf-8")
    return project


def _timed(project: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds of each `apply` after a `destroy`, and of each one after that."""
    state = Path(tempfile.mkdtemp(prefix="airgap-bench-"))
    applies, re_applies = [], []
    try:
        _local(project, state, "apply")
        for _ in range(runs):
            _local(project, state, "destroy")
            applies.append(_local(project, state, "apply"))
            re_applies.append(_local(project, state, "apply"))
    finally:
        _local(project, state, "down")
        shutil.rmtree(state, ignore_errors=True)
    return applies, re_applies


def _local(project: Path, state: Path, command: str) -> float:
    """Run one command of the local cloud; return its wall time in seconds."""
    begun = time.monotonic()
    subprocess.run(
        [str(REPOSITORY / "scripts" / "local"), command],
        env={
            **os.environ,
            "LOCAL_PROJECT_DIR": str(project),
            "LOCAL_STATE_DIR": str(state),
            "LOCAL_PORT_BASE": PORT_BASE,
        },
        stdout=sys.stderr,
        check=True,
    )
    return time.monotonic() - begun
