"""How long the local cloud takes when everything is warm: SeedFarmer's own sleeps are part of it.

No peer does the same thing, so the goals are seconds, on two cores.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from localcloud.layout import REPOSITORY
from localcloud.tools import CDK_VERSION, SEEDFARMER_VERSION

from .result import Goal, Report, Result

VERSIONS = {"seed-farmer": SEEDFARMER_VERSION, "aws-cdk": CDK_VERSION}
PORT_BASE = "23566"


def measure(runs: int) -> Report:
    """Time `apply` of the two modules after a `destroy`, and an `apply` with nothing to do."""
    state = Path(tempfile.mkdtemp(prefix="airgap-bench-"))
    try:
        _local(state, "apply")
        applies, re_applies = [], []
        for _ in range(runs):
            _local(state, "destroy")
            applies.append(_local(state, "apply"))
            re_applies.append(_local(state, "apply"))
    finally:
        _local(state, "down")
        shutil.rmtree(state, ignore_errors=True)
    results = [
        Result.of_runs("apply_warm_s", "s", applies, Goal("ours", "<=", 45.0)),
        Result.of_runs("reapply_s", "s", re_applies, Goal("ours", "<=", 15.0)),
    ]
    return Report(results, VERSIONS)


def _local(state: Path, command: str) -> float:
    """Run one command of the local cloud; return its wall time in seconds."""
    begun = time.monotonic()
    subprocess.run(
        [str(REPOSITORY / "scripts" / "local"), command],
        env={**os.environ, "LOCAL_STATE_DIR": str(state), "LOCAL_PORT_BASE": PORT_BASE},
        stdout=sys.stderr,
        check=True,
    )
    return time.monotonic() - begun
