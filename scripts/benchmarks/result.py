"""One line of a benchmark, and how it is printed and kept."""

import json
import os
import platform
import statistics
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
        ranges: lowest and highest of the runs, of `ours` and of each peer; empty for a single figure.
    """

    name: str
    unit: str
    ours: float
    goal: Goal
    peers: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of_runs(
        cls,
        name: str,
        unit: str,
        ours: Sequence[float],
        goal: Goal,
        peers: Mapping[str, Sequence[float]] | None = None,
    ) -> "Result":
        """The medians of several runs."""
        peers = peers or {}
        return cls(
            name,
            unit,
            statistics.median(ours),
            goal,
            {peer: statistics.median(runs) for peer, runs in peers.items()},
            {who: (min(runs), max(runs)) for who, runs in {"ours": ours, **peers}.items()},
        )

    @property
    def ratio(self) -> float | None:
        """The best peer's value divided by ours: above 1 is better than every peer.

        None without peers, where more is better, and when ours is 0.
        """
        if not self.peers or not self.ours or (self.goal.of, self.goal.bound) == ("ours", ">="):
            return None
        return min(self.peers.values()) / self.ours

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
            "min_max": {who: [round(low, 4), round(high, 4)] for who, (low, high) in self.ranges.items()},
        }


@dataclass(frozen=True)
class Report:
    """All that one benchmark found.

    Attributes:
        versions: program -> version, of those that were measured.
        notes: what a reader of the figures has to know, one sentence each.
    """

    results: Sequence[Result]
    versions: Mapping[str, str]
    notes: Sequence[str] = ()


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


def print_report(report: Report) -> None:
    """Print a report for people."""
    table = Table("name", "ours", "peers", "ratio", "goal", "holds")
    for result in report.results:
        peers = ", ".join(f"{name} {value:.3g} {result.unit}" for name, value in result.peers.items())
        ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
        ours = f"{result.ours:.3g} {result.unit}"
        table.add_row(result.name, ours, peers, ratio, str(result.goal), "yes" if result.holds else "NO")
    console = Console(width=140)
    console.print(table)
    versions = ", ".join(f"{program} {version}" for program, version in report.versions.items())
    for line in (versions, *report.notes):
        console.print(line, highlight=False, markup=False)


def keep(benchmark: str, report: Report) -> Path:
    """Keep a run on record; the README quotes only these."""
    RECORDS.mkdir(exist_ok=True)
    path = RECORDS / f"{benchmark}.json"
    content = {
        "command": f"./scripts/bench {benchmark} --record",
        "machine": asdict(Machine.this()),
        "versions": dict(report.versions),
        "notes": list(report.notes),
        "results": [result.as_json() for result in report.results],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
