"""A fingerprint of everything that determines the result of a run, apart from what sources answer."""

import hashlib
import json
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter

from . import lock
from .datafiles import DataFiles
from .resolve import Target
from .settings import Parameters

# Secrets open sources and do not change what is there. A parameter that is not named here counts: an
# unneeded look at the charts is cheaper than a result that does not follow its parameters.
_WITHOUT_INFLUENCE = {
    "data_path",
    "helm_distro_secret_key",
    "helm_distro_secret_name",
    "helm_repo_secret_key",
    "helm_repo_secret_name",
    "image_tag_mutability",
    "pull_account_ids",
    "pull_organization_id",
    "refresh_tags",
    "repository_kms_key",
    "retention_type",
    "untagged_image_days",
}
# YAML knows bytes and infinite numbers, JSON does not.
_PLAIN = TypeAdapter[object](object, config=ConfigDict(ser_json_bytes="base64", ser_json_inf_nan="strings"))


def fingerprint(data: DataFiles, parameters: Parameters, target: Target) -> str:
    """The same for the same data files, parameters, destination, and program."""
    inputs = {
        "lock": lock.VERSION,
        "program": _program(),
        "data": data,
        "parameters": parameters.model_dump(exclude=_WITHOUT_INFLUENCE),
        "target": target,
    }
    plain = json.dumps(json.loads(_PLAIN.dump_json(inputs)), sort_keys=True)
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def _program() -> str:
    """A hash of this package: a release that finds other images must not trust an older result."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
