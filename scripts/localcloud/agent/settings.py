"""What the local cloud tells the agent, in a file whose path is in the environment."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "LOCAL_AGENT_SETTINGS"


@dataclass(frozen=True)
class AgentSettings:
    """The agent's side of a local cloud.

    Attributes:
        builds: folder in which each build gets its own.
        path: PATH of the builds.
        environment: further variables of the builds.
        copy_on_write: folders that builds share; what a build changes there, only it sees.
        machines: folders that are the machine's for builds too, though they may lie in a copied one.
        docker: the real client, for calls that are not the agent's.
    """

    builds: str
    path: list[str]
    environment: dict[str, str]
    copy_on_write: list[str]
    machines: list[str]
    docker: str


def write(path: Path, settings: AgentSettings) -> None:
    """Keep the settings for the agent."""
    path.write_text(json.dumps(asdict(settings)), encoding="utf-8")


def read() -> AgentSettings:
    """The settings that `LOCAL_AGENT_SETTINGS` points to."""
    return AgentSettings(**json.loads(Path(os.environ[VARIABLE]).read_text("utf-8")))
