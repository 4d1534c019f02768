"""What is wrong with data files, for people and for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .shared.errors import UserError
from .values import Values


@dataclass(frozen=True)
class Sought:
    """A value path that was looked for.

    Attributes:
        path: the path as the data file writes it.
        tree: what it was looked for in.
    """

    path: str
    tree: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: name of the data file; empty when it takes both to go wrong.
        place: where in the file, with dots between the keys; empty for the file itself.
        text: what is wrong there.
        workload: the workload that it is about.
        image: the image that it is about, by its name in the data file.
        sought: the value path that it is about.
    """

    file: str
    place: str
    text: str
    workload: str | None = None
    image: str | None = None
    sought: Sought | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.located) if part)

    @property
    def located(self) -> str:
        """The problem with its place in the file."""
        return ": ".join(part for part in (self.place, self.text) if part)


class DataFilesError(UserError):
    """Data files that cannot be used.

    Attributes:
        problems: everything that is wrong.
    """

    def __init__(self, text: str, problems: Sequence[Problem]) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


def listed(summary: str, lines: Iterable[object]) -> str:
    """A summary with a line for each of its details."""
    return f"{summary}:" + "".join(f"\n  - {line}" for line in lines)


def texts(error: UserError) -> list[str]:
    """What an error says, one text for each problem."""
    if isinstance(error, DataFilesError):
        return [str(problem) for problem in error.problems]
    return [str(error)]
