"""What is built: the same images as requests of the service and as folders with a Dockerfile."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEAM = "team"  # repositories of the service are below it


@dataclass(frozen=True)
class Recipe:
    """One image, in both forms.

    Attributes:
        name: its repository.
        order: what the service takes.
        dockerfile: what the peers take, beside the files.
    """

    name: str
    tag: str
    order: dict[str, Any]
    dockerfile: str
    files: dict[str, bytes]

    def write(self, folder: Path) -> Path:
        """Write the folder that peers build from."""
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        (folder / "Dockerfile").write_text(self.dockerfile, encoding="utf-8")
        return folder


Make = Callable[[str], Recipe]


def copying(base: str) -> Make:
    """Two small files, labels and a command on a base; nothing is run."""

    def make(name: str) -> Recipe:
        tag, mark = secrets.token_hex(6), secrets.token_hex(16)
        files = {"app.py": f"print('{mark}')\n".encode() * 40, "settings.json": b'{"debug": false}\n'}
        layers: list[dict[str, Any]] = [
            {"layer_type": "copy", "source": "app.py", "destination": "/srv/app.py"},
            {"layer_type": "copy", "source": "settings.json", "destination": "/srv/settings.json"},
            {"layer_type": "workdir", "path": "/srv"},
            {"layer_type": "env", "keys": ["MARK"], "values": [mark]},
            {"layer_type": "entrypoint", "command": ["/bin/sh", "/srv/app.py"]},
        ]
        dockerfile = (
            f"FROM {base}:1\nCOPY app.py /srv/app.py\nCOPY settings.json /srv/settings.json\nWORKDIR /srv\n"
            f'ENV MARK={mark}\nENTRYPOINT ["/bin/sh", "/srv/app.py"]\n'
        )
        return Recipe(name, tag, _order(name, tag, base, layers, files), dockerfile, files)

    return make


def running(base: str) -> Make:
    """A file and one command that writes another."""

    def make(name: str) -> Recipe:
        tag, mark = secrets.token_hex(6), secrets.token_hex(16)
        files = {"input.txt": f"{mark}\n".encode()}
        command = "cat /srv/input.txt > /srv/output.txt && seq 1 1000 >> /srv/output.txt"
        layers = [
            {"layer_type": "copy", "source": "input.txt", "destination": "/srv/input.txt"},
            {"layer_type": "run", "command": command},
        ]
        dockerfile = f"FROM {base}:1\nCOPY input.txt /srv/input.txt\nRUN {command}\n"
        return Recipe(name, tag, _order(name, tag, base, layers, files), dockerfile, files)

    return make


def configured(base: str, name: str) -> dict[str, Any]:
    """An order that only sets the configuration, each of another value."""
    mark = secrets.token_hex(16)
    layers: list[dict[str, Any]] = [
        {"layer_type": "env", "keys": ["MARK"], "values": [mark]},
        {"layer_type": "entrypoint", "command": ["echo", mark]},
    ]
    return _order(name, mark, base, layers, {})


def heavy(base: str, number: int) -> dict[str, Any]:
    """An order that makes a layer of the base's one large file."""
    layers = [
        {
            "layer_type": "copy",
            "from_layer": f"{base}:1",
            "source": "data",
            "destination": f"/copied-{number}",
        }
    ]
    return _order(f"heavy-{number}", "1", base, layers, {})


def _order(
    name: str, tag: str, base: str, layers: list[dict[str, Any]], files: dict[str, bytes]
) -> dict[str, Any]:
    stage = {"layer_type": "stage", "base": base, "tag": "1"}
    order: dict[str, Any] = {"name": name, "tag": tag, "layers": [stage, *layers]}
    if files:
        encoded = {path: {"content": base64.b64encode(data).decode()} for path, data in files.items()}
        order["files"] = encoded
    return order
