"""The container engine's command line, as far as one desktop needs it."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud import commands
from localcloud.errors import LocalCloudError


@dataclass(frozen=True)
class Docker:
    """A client of the engine.

    Attributes:
        environment: variables that the client needs beside this process's own.
    """

    program: str = "docker"
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """Run one command; return what it printed on stdout.

        Raises:
            LocalCloudError: it failed; with its last lines.
        """
        return commands.run([self.program, *arguments], self._variables)

    def attempt(
        self, *arguments: str, stdin: str | None = None, seconds: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        """Run one command that may fail."""
        return subprocess.run(
            [self.program, *arguments],
            env=self._variables,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )

    def logs(self, container: str, *options: str) -> str:
        """What a container printed on both of its outputs, in the order in which the engine got it."""
        done = subprocess.run(
            [self.program, "logs", *options, container],
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.stdout

    def inspect(self, what: str) -> dict[str, Any]:
        """Everything that the engine knows of a container or image.

        Raises:
            LocalCloudError: there is no such thing.
        """
        (found,) = json.loads(self.run("inspect", what))
        return dict(found)

    def started_at(self, container: str) -> float:
        """When the engine started a container last (Unix time, to the microsecond)."""
        text = self.run("inspect", "--format={{.State.StartedAt}}", container).strip()
        return datetime.fromisoformat(f"{text.rstrip('Z')[:26]}+00:00").timestamp()

    def has_image(self, reference: str) -> bool:
        """Whether the engine has the image here."""
        return self.attempt("image", "inspect", reference).returncode == 0

    def build(self, context: Path, tag: str, arguments: Mapping[str, str], dockerfile: Path) -> None:
        """Build an image.

        Raises:
            LocalCloudError: the build failed; with its last lines.
        """
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command = ["build", "--quiet", f"--tag={tag}", f"--file={dockerfile}", *options, str(context)]
        done = subprocess.run(
            [self.program, *command],
            env={**self._variables, "DOCKER_BUILDKIT": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            lines = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
            raise LocalCloudError(f"the build of {tag} failed:\n{lines}")

    @property
    def _variables(self) -> dict[str, str]:
        return {**os.environ, **self.environment}
