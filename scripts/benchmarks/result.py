"""One line of a benchmark, and how it is printed and kept."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

RECORDS = Path(__file__).parent / "records"


@dataclass(frozen=True)
class Goal:
    """What a figure has to reach.

    Attributes:
        of: whether the goal is about our own value, or about the ratio to the best peer.
        bound: `<=` or `>=`.
    """

    of: Literal["ours", "ratio"]
    bound: Literal["<=", ">="]
    value: float

    def __str__(self) -> str:
        return f"{self.of} {self.bound} {self.value:g}"

    def holds(self, ours: float, ratio: float | None) -> bool:
        """Whether a measurement reaches the goal."""
        figure = ours if self.of == "ours" else ratio
        if figure is None:
            return False
        return figure <= self.value if self.bound == "<=" else figure >= self.value


@dataclass(frozen=True)
class Result:
    """One measured figure.

    Attributes:
        ours: median of the runs, in `unit`.
        peers: the peers' medians from the same run, in `unit`.
    """

    name: str
    unit: str
    ours: float
    goal: Goal
    peers: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The best peer's value divided by ours: above 1 is better than every peer; None without peers."""
        return min(self.peers.values()) / self.ours if self.peers else None

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.goal.holds(self.ours, self.ratio)

    def as_json(self) -> dict[str, object]:
        """The form that `--json` prints."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "peers": {name: round(value, 4) for name, value in self.peers.items()},
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "goal": str(self.goal),
            "holds": self.holds,
        }


@dataclass(frozen=True)
class Machine:
    """Where and with what a record was made."""

    date: str
    cpu: str
    cores: int
    memory_gib: int
    system: str
    commit: str

    @classmethod
    def this(cls) -> "Machine":
        """The machine that this process runs on."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=RECORDS, capture_output=True, text=True, check=False
        )
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(memory / 2**30),
            system=platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
            commit=commit.stdout.strip(),
        )


def print_results(results: Sequence[Result]) -> None:
    """Print results for people."""
    table = Table("name", "ours", "peers", "ratio", "goal", "holds")
    for result in results:
        peers = ", ".join(f"{name} {value:.3g} {result.unit}" for name, value in result.peers.items())
        ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
        ours = f"{result.ours:.3g} {result.unit}"
        table.add_row(result.name, ours, peers, ratio, str(result.goal), "yes" if result.holds else "NO")
    Console(width=140).print(table)


def keep(benchmark: str, results: Sequence[Result], versions: Mapping[str, str]) -> Path:
    """Keep a run on record; the README quotes only these."""
    RECORDS.mkdir(exist_ok=True)
    path = RECORDS / f"{benchmark}.json"
    content = {
        "command": f"./scripts/bench {benchmark} --record",
        "machine": asdict(Machine.this()),
        "versions": dict(versions),
        "results": [result.as_json() for result in results],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
