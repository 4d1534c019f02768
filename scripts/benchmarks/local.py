"""How long the local cloud takes when everything is warm: SeedFarmer's own sleeps are part of it.

No peer does the same thing, so the goals are seconds, on two cores.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from localcloud.layout import REPOSITORY
from localcloud.tools import CDK_VERSION, SEEDFARMER_VERSION

from .result import Goal, Result

VERSIONS = {"seed-farmer": SEEDFARMER_VERSION, "aws-cdk": CDK_VERSION}
PORT_BASE = "23566"


def measure(runs: int) -> list[Result]:
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
    return [
        Result("apply_warm_s", "s", _median(applies), Goal("ours", "<=", 45.0)),
        Result("reapply_s", "s", _median(re_applies), Goal("ours", "<=", 15.0)),
    ]


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


def _median(seconds: Sequence[float]) -> float:
    return statistics.median(seconds)
