"""What a build did: kept beside its log, read by the local cloud for messages and timings."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .script import MARK

FILE = "result.json"
SHOWN_LINES = 20


@dataclass(frozen=True)
class CommandRecord:
    """One command that ran.

    Attributes:
        seconds: wall time.
        status: exit status; None when the build ended inside the command.
    """

    phase: str
    command: str
    seconds: float
    status: int | None


@dataclass(frozen=True)
class BuildRecord:
    """One build, whole.

    Attributes:
        started: seconds since the epoch.
    """

    build_id: str
    succeeded: bool
    started: float
    seconds: float
    commands: list[CommandRecord]

    @property
    def failed_command(self) -> CommandRecord | None:
        """The command at which the build broke."""
        if self.succeeded:
            return None
        broken = [command for command in self.commands if command.status != 0]
        return broken[0] if broken else None


def write(folder: Path, record: BuildRecord) -> None:
    """Keep the record in the build's folder."""
    (folder / FILE).write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")


def read(folder: Path) -> BuildRecord | None:
    """The record of a build's folder, when the build came to an end."""
    path = folder / FILE
    if not path.is_file():
        return None
    content = json.loads(path.read_text("utf-8"))
    commands = [CommandRecord(**command) for command in content.pop("commands")]
    return BuildRecord(commands=commands, **content)


def last_output(log: Path) -> list[str]:
    """What the last command in a build's log printed; its end, when it is long."""
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    starts = [index for index, line in enumerate(lines) if line.startswith(f"{MARK} ")]
    return lines[starts[-1] + 1 :][-SHOWN_LINES:] if starts else lines[-SHOWN_LINES:]
