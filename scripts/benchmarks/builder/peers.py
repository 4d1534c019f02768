"""buildah and docker: the same image from a Dockerfile, built and pushed, with a warm base."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localcloud import commands
from localcloud.engine import clean_up_engine, client_folder, ensure_engine
from localcloud.errors import LocalCloudError
from localcloud.layout import Layout
from localcloud.progress import Progress
from localcloud.services import Services

from .orders import Recipe


class Peer(Protocol):
    """Builds and pushes."""

    @property
    def name(self) -> str:
        """Of the program."""

    def warm(self, base: str) -> None:
        """Pull the base."""

    def build(self, recipe: Recipe, folder: Path) -> float:
        """Build a folder and push the image; seconds."""

    @property
    def version(self) -> str:
        """What is measured."""


@dataclass(frozen=True)
class Buildah:
    """buildah in its quickest way: as root, in a chroot, on overlayfs, one layer, nothing cached.

    Attributes:
        port: of the registry.
    """

    folder: Path
    port: int
    name: str = "buildah"

    @classmethod
    def in_folder(cls, folder: Path, port: int) -> "Buildah":
        """buildah with a store of its own."""
        folder.mkdir()
        policy = {"default": [{"type": "insecureAcceptAnything"}]}
        (folder / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
        return cls(folder, port)

    def warm(self, base: str) -> None:
        """Pull the base."""
        self._run("pull", "--tls-verify=false", f"{base}:1")

    def build(self, recipe: Recipe, folder: Path) -> float:
        """Build a folder and push the image; seconds."""
        target = f"docker://127.0.0.1:{self.port}/buildah/{recipe.name}:{recipe.tag}"
        local = f"localhost/{recipe.name}:{recipe.tag}"
        begun = time.perf_counter()
        self._run(
            *("bud", "--isolation", "chroot", "--layers=false", "--pull-never", "--tls-verify=false"),
            *("--tag", local, str(folder)),
        )
        self._run("push", "--tls-verify=false", local, target)
        seconds = time.perf_counter() - begun
        self._run("rmi", local)
        return seconds

    @property
    def version(self) -> str:
        """Of the program."""
        return self._run("version").split("Version:")[1].split()[0]

    def _run(self, command: str, *arguments: str) -> str:
        moves_images = command in ("bud", "pull", "push")
        signatures = ("--signature-policy", f"{self.folder}/policy.json") if moves_images else ()
        store = ("--root", f"{self.folder}/graph", "--runroot", f"{self.folder}/run")
        return commands.run(
            ["buildah", *store, "--storage-driver", "overlay", command, *signatures, *arguments],
            {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)},
        )


@dataclass(frozen=True)
class Docker:
    """docker build and docker push, without its cache."""

    program: str
    port: int
    environment: Mapping[str, str]
    name: str = "docker"

    def warm(self, base: str) -> None:
        """Pull the base."""
        self._run("pull", f"{base}:1")

    def build(self, recipe: Recipe, folder: Path) -> float:
        """Build a folder and push the image; seconds."""
        target = f"127.0.0.1:{self.port}/docker/{recipe.name}:{recipe.tag}"
        begun = time.perf_counter()
        self._run("build", "--no-cache", "--tag", target, str(folder))
        self._run("push", target)
        seconds = time.perf_counter() - begun
        self._run("rmi", target)
        return seconds

    @property
    def version(self) -> str:
        """Of the daemon."""
        return self._run("version", "--format={{.Server.Version}}").strip()

    def _run(self, *arguments: str) -> str:
        return commands.run([self.program, *arguments], {**os.environ, **self.environment})


class DockerEngine:
    """A docker daemon for the time of a run; a context manager that gives None where there is no docker."""

    def __init__(self, folder: Path, port: int, progress: Progress) -> None:
        self._layout = Layout.from_environment(
            {**os.environ, "LOCAL_ENGINE": "docker", "LOCAL_STATE_DIR": str(folder)}
        )
        self._services = Services(self._layout.run, self._layout.logs)
        self._port = port
        self._progress = progress

    def __enter__(self) -> Docker | None:
        if not shutil.which("docker"):
            return None
        try:
            engine = ensure_engine(self._layout, self._services, self._progress)
        except LocalCloudError as error:
            self._progress.say(f"docker is left out: {error}")
            return None
        return Docker(str(client_folder(self._layout) / "docker"), self._port, engine.environment)

    def __exit__(self, *_: object) -> None:
        self._services.stop_all()
        clean_up_engine(self._layout)
