"""The Python packages of the image: fetched and unpacked here, for the image's system and Python.

So the image needs no package installer, and the index with its credentials stays outside: uv uses the
one that SeedFarmer's `pypiMirror` sets for the build.
"""

import gzip
import shutil
import subprocess
from pathlib import Path

from .shared.errors import UserError

PROGRAM = "uv"
TAIL_LINES = 8
LEVEL = 4  # of compression: a higher one takes far longer for little


def install(requirements: Path, target: Path, python: str, architecture: str) -> None:
    """Unpack the packages that `requirements` pins, each verified against its hashes.

    Args:
        requirements: pins with hashes.
        target: folder to make.
        python: version of the image's Python, such as `3.9`.
        architecture: `x86_64` or `aarch64`.

    Raises:
        UserError: the index lacks one, or has another file under its name.
    """
    command = [
        *(PROGRAM, "pip", "install", "--quiet", "--target", str(target)),
        *("--python-version", python, "--python-platform", f"{architecture}-manylinux2014"),
        *("--only-binary", ":all:", "--require-hashes", "--link-mode", "copy"),
        *("--requirement", str(requirements)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(
            f"`{PROGRAM}`, which fetches the image's Python packages, cannot be run: {error.strerror}"
        ) from None
    if done.returncode != 0:
        tail = "\n".join(f"  {line}" for line in done.stderr.splitlines()[-TAIL_LINES:])
        raise UserError(
            f"the image's Python packages cannot be had from the package index (`pypiMirror`):\n{tail}"
        )
    _remove_traces(target)
    _shrink_aws_cli(target / "awscli")


def _remove_traces(target: Path) -> None:
    """Remove what depends on where it was unpacked: programs name this machine's Python."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for record in target.glob("*.dist-info/RECORD"):
        record.unlink()
    (target / ".lock").unlink(missing_ok=True)


def _shrink_aws_cli(package: Path) -> None:
    """Compress the models of AWS's services, which botocore reads either way; leave out help's examples."""
    shutil.rmtree(package / "examples", ignore_errors=True)
    for model in package.glob("botocore/data/*/*/*.json"):
        # Without name and time in it, the same model always gives the same file.
        model.with_suffix(".json.gz").write_bytes(gzip.compress(model.read_bytes(), LEVEL, mtime=0))
        model.unlink()
