"""A fingerprint of everything that determines the result of a run, apart from what sources answer."""

import hashlib
import json
from pathlib import Path

from pydantic_core import to_jsonable_python

from . import lock
from .datafiles import DataFiles
from .resolve import Target
from .settings import Parameters


def fingerprint(data: DataFiles, parameters: Parameters, target: Target) -> str:
    """The same for the same data files, parameters, destination, and program.

    Secrets are not part of it: they open sources, and do not change what is there.
    """
    inputs = {
        "lock": lock.VERSION,
        "program": _program(),
        "data": data,
        "eks_version": parameters.eks_version,
        "endpoints": parameters.endpoints.overrides,
        "target": target,
    }
    # YAML knows bytes and infinite numbers, JSON does not.
    plain = to_jsonable_python(inputs, bytes_mode="base64", inf_nan_mode="strings")
    return f"sha256:{hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}"


def _program() -> str:
    """A hash of this package: a release that finds other images must not trust an older result."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
