"""What `lint` finds, for people and for programs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .datafiles import DEFAULT_FILE
from .problems import Problem
from .suggestions import nearest


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, as `--json` prints it.

    Attributes:
        file: name of the data file to change.
        eks_version: EKS version that it shows up with; None for the default file by itself.
        workload: the workload that it is about.
        image: the image that it is about, by its name in the data file.
        path: the value path that it is about, as the data file has it.
        message: what is wrong.
        suggestion: a path that the chart has instead.
    """

    file: str
    eks_version: str | None
    workload: str | None
    image: str | None
    path: str | None
    message: str
    suggestion: str | None


def finding(problem: Problem, eks_version: str | None) -> Finding:
    """A problem that shows up with an EKS version; the version's file where no file is named."""
    sought = problem.sought
    return Finding(
        file=problem.file or f"{eks_version}.yaml",
        eks_version=eks_version,
        workload=problem.workload,
        image=problem.image,
        path=sought.path if sought else None,
        message=_message(problem),
        suggestion=nearest(sought) if sought else None,
    )


def readable(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for each finding; one that several EKS versions have is one line that names them."""
    versions: dict[Finding, list[str]] = {}
    for item in findings:
        versions.setdefault(replace(item, eks_version=None), []).extend(filter(None, [item.eks_version]))
    for item, found in versions.items():
        parts = [item.file, _subject(item.workload, item.image), item.message]
        hint = f" (did you mean `{item.suggestion}`?)" if item.suggestion else ""
        with_versions = f" [EKS {', '.join(found)}]" if found and item.file == DEFAULT_FILE else ""
        yield ": ".join(part for part in parts if part) + hint + with_versions


def _subject(workload: str | None, image: str | None) -> str:
    if workload is None:
        return f"additional_images.{image}" if image else ""
    return f"{workload}.{image}" if image else workload


def _message(problem: Problem) -> str:
    """The text with that part of the place which workload and image do not say."""
    place = f"charts.{problem.workload}" if problem.workload else "additional_images"
    if problem.image:
        place += f".images.{problem.image}" if problem.workload else f".{problem.image}"
    rest = problem.place.removeprefix(place).removeprefix(".")
    return f"{rest}: {problem.text}" if rest else problem.text
