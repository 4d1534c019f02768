"""The source registry: Debian's docker-registry on loopback."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import yaml

from localcloud.services import Service, Services, answers

from .commands import find_tool

NAME = "source-registry"


def ensure(services: Services, folder: Path, port: int) -> Service:
    """Start the registry on 127.0.0.1 with its storage below `folder`, unless it runs."""
    tool = find_tool(["docker-registry", "registry"], ["docker-registry"])
    if not services.find(NAME):
        _write_config(folder, port)
    return services.ensure(
        NAME,
        [tool, "serve", str(folder / "config.yml")],
        _environment(),
        f"http://127.0.0.1:{port}",
        answers(port, "/v2/"),
        port,
    )


def _environment() -> dict[str, str]:
    """Our environment without what the registry would take for its configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}


def _write_config(folder: Path, port: int) -> None:
    storage = folder / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    config = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": secrets.token_hex(16)},
    }
    path = folder / "config.yml"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
