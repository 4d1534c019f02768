"""Virtual environments made from a pinned list, kept in the cache between runs."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PYTHON_VERSION = "3.11"  # what SeedFarmer's local builds use


def cache_folder() -> Path:
    """`$AIRGAP_CACHE_DIR`, else `~/.cache/airgap-modules`."""
    return Path(os.environ.get("AIRGAP_CACHE_DIR") or Path.home() / ".cache" / "airgap-modules")


def pinned_environment(name: str, requirements: Path) -> Path:
    """Folder of an environment that holds exactly what the list says; made unless it is there.

    Two processes that ask at once get the same one: the second waits for the first.
    """
    folder = cache_folder() / name
    wanted = requirements.read_text(encoding="utf-8")
    stamp = folder / "made-from.txt"
    with _locked(folder.with_name(f"{name}.lock")):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", PYTHON_VERSION, str(folder))
            python = folder / "bin" / "python"
            _uv("pip", "install", "--python", str(python), "--requirement", str(requirements))
            stamp.write_text(wanted, encoding="utf-8")
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str) -> None:
    uv = os.environ.get("UV", "uv")
    done = subprocess.run([uv, *arguments, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"uv {' '.join(arguments)} failed:\n{done.stderr}")
