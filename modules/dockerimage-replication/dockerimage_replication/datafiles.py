"""The two data files of a run, read and laid over each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from .mappings import DockerMappings
from .problems import DataFilesError, Problem, listed
from .schema import (
    LITERAL,
    LOCATED,
    ChartEntry,
    DefaultFile,
    Entry,
    ImageEntry,
    ReplicationOverride,
    VersionedChartEntry,
    VersionFile,
)
from .values import Values, merged

DEFAULT_FILE = "default.yaml"


@dataclass(frozen=True)
class ImageSpec:
    """One image of a workload, and what the version file says about it.

    Attributes:
        key: its name in the data file.
        entry: where the chart keeps the parts of its reference.
        override: parts that the version file sets instead.
        file: data file with its entry, for messages.
    """

    key: str
    entry: ImageEntry
    override: ReplicationOverride
    file: str


@dataclass(frozen=True)
class Workload:
    """A chart to replicate, from both data files.

    Attributes:
        key: name of the workload.
        chart: name of its chart.
        repository: URL of the chart repository.
        version: version of the chart.
        subcharts: subcharts that the data files count on.
        images: its images.
        values: further values for whoever installs the chart.
        render_values: values that whoever installs the chart sets; the proof renders with them below.
        accepted_images: what the chart may name outside the private registry -> why.
        file: data file that names the subcharts, for messages.
    """

    key: str
    chart: str
    repository: str
    version: str
    subcharts: tuple[str, ...]
    images: tuple[ImageSpec, ...]
    values: Values
    render_values: Values
    accepted_images: Mapping[str, str]
    file: str


@dataclass(frozen=True)
class DataFiles:
    """What both data files say together.

    Attributes:
        version_file: name of the version file, for messages.
        ami_version: version of the nodes' machine image, None when the version file has none.
        workloads: those that are not skipped.
        additional_images: name -> full reference.
        additional_files: name -> data file that says so.
        mappings: the version file's `docker_mappings`.
    """

    version_file: str
    ami_version: str | None
    workloads: tuple[Workload, ...]
    additional_images: Mapping[str, str]
    additional_files: Mapping[str, str]
    mappings: DockerMappings


def load(folder: Path, eks_version: str) -> DataFiles:
    """Read `default.yaml` and `<eks_version>.yaml` in `folder`; what the version file says wins.

    Raises:
        DataFilesError: a file is absent, is not YAML, or breaks the schema; every problem of a file at once.
    """
    data, problems = combined(read_default(folder), read_version(folder, eks_version), eks_version)
    if problems:
        text = listed("the data files do not fit together", (problem.located for problem in problems))
        raise DataFilesError(text, problems)
    return data


def versions(folder: Path) -> list[str]:
    """The EKS versions that a folder has version files of."""
    return sorted(file.stem for file in folder.glob("*.yaml") if file.name != DEFAULT_FILE)


def read_default(folder: Path) -> DefaultFile:
    """Read `default.yaml`.

    Raises:
        DataFilesError: it is absent, is not YAML, or breaks the schema.
    """
    path = folder / DEFAULT_FILE
    if not path.is_file():
        raise _unusable(
            path, f"the data file {path} does not exist: add it to the module's `dataFiles` in the manifest"
        )
    return _parse(path, DefaultFile)


def read_version(folder: Path, eks_version: str) -> VersionFile:
    """Read `<eks_version>.yaml`.

    Raises:
        DataFilesError: it is absent, is not YAML, or breaks the schema.
    """
    path = _version_path(folder, eks_version)
    if not path.is_file():
        others = versions(folder)
        there = f"there are {', '.join(others)}" if others else "there is no version file"
        raise _unusable(
            path,
            f"the data file {path} of EKS version {path.stem} does not exist ({there}): correct "
            "`eks-version`, or add the file to the module's `dataFiles` in the manifest",
        )
    return _parse(path, VersionFile)


def combined(default: DefaultFile, version: VersionFile, eks_version: str) -> tuple[DataFiles, list[Problem]]:
    """Both files over each other, without the workloads that do not fit, and why those do not."""
    file = _version_path(Path(), eks_version).name
    workloads, problems = _workloads(default, version, file)
    data = DataFiles(
        version_file=file,
        ami_version=version.ami.version if version.ami else None,
        workloads=workloads,
        additional_images={**default.additional_images, **version.additional_images},
        additional_files=dict.fromkeys(default.additional_images, DEFAULT_FILE)
        | dict.fromkeys(version.additional_images, file),
        mappings=DockerMappings(version.docker_mappings),
    )
    return data, problems


def _version_path(folder: Path, eks_version: str) -> Path:
    return folder / f"{eks_version}.yaml"


def _unusable(path: Path, text: str) -> DataFilesError:
    return DataFilesError(text, [Problem(path.name, "", text)])


class _Loader(yaml.SafeLoader):
    """YAML in which a key must not stand twice, because the first one would silently be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key.value!r} stands here a second time",
                        problem_mark=key.start_mark,
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


EntryT = TypeVar("EntryT", bound=Entry)


def _parse(path: Path, shape: type[EntryT]) -> EntryT:
    content = _yaml(path)
    if not isinstance(content, dict):
        raise _unusable(path, f"the data file {path} must be a mapping with keys such as `charts`")
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        problems = [
            _problem(path.name, item["loc"], _reason(item["type"], item["msg"], item["input"]))
            for item in error.errors(include_url=False, include_context=False)
        ]
        lines = (problem.located for problem in problems)
        raise DataFilesError(listed(f"the data file {path} is not valid", lines), problems) from None


def _problem(file: str, location: tuple[int | str, ...], text: str) -> Problem:
    match tuple(str(part) for part in location):
        case ("charts", workload, "images" | "replication", image, *_):
            return Problem(file, _dotted(location), text, workload, image)
        case ("charts", workload, *_):
            return Problem(file, _dotted(location), text, workload)
        case ("additional_images", image, *_):
            return Problem(file, _dotted(location), text, image=image)
    return Problem(file, _dotted(location), text)


def _yaml(path: Path) -> object:
    try:
        # _Loader is a SafeLoader: it makes plain values only.
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise _unusable(path, f"the data file {path} is not valid YAML:{where} {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _unusable(path, f"the data file {path} is not valid YAML: {error}") from None


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part not in (LITERAL, LOCATED))


def _reason(kind: str, message: str, value: object) -> str:
    if kind == "extra_forbidden":
        return "this key is unknown"
    if kind == "missing":
        return "this key is required"
    if kind == "string_type" and not isinstance(value, dict | list):
        return f"YAML reads this as {value!r}; put it in quotes to have a text"
    return message.removeprefix("Value error, ")


def _workloads(
    default: DefaultFile, version: VersionFile, version_file: str
) -> tuple[tuple[Workload, ...], list[Problem]]:
    problems: list[Problem] = []
    workloads = []
    for key in dict.fromkeys([*default.charts, *version.charts]):
        below = default.charts.get(key, ChartEntry())
        above = version.charts.get(key, VersionedChartEntry())
        if above.skip:
            continue
        found = list(_problems(key, below, above, version_file))
        problems += found
        if not found:
            workloads.append(_workload(key, below, above, version_file))
    return tuple(workloads), problems


def _problems(
    key: str, below: ChartEntry, above: VersionedChartEntry, version_file: str
) -> Iterator[Problem]:
    for name in ("name", "repository", "version"):
        if getattr(above, name) is None and getattr(below, name) is None:
            text = f"`{name}` is neither in {DEFAULT_FILE} nor in {version_file}"
            yield Problem("", f"charts.{key}", text, key)
    for image in above.replication.keys() - (below.images.keys() | above.images.keys()):
        place = f"charts.{key}.replication.{image} in {version_file}"
        yield Problem("", place, f"the workload has no image `{image}`", key, image)


def _workload(key: str, below: ChartEntry, above: VersionedChartEntry, version_file: str) -> Workload:
    files = dict.fromkeys(below.images, DEFAULT_FILE) | dict.fromkeys(above.images, version_file)
    entries = {**below.images, **above.images}
    overrides = {image: above.replication.get(image, ReplicationOverride()) for image in entries}
    return Workload(
        key=key,
        chart=str(above.name or below.name),
        repository=str(above.repository or below.repository),
        version=str(above.version or below.version),
        subcharts=tuple(above.subcharts or below.subcharts),
        images=tuple(
            ImageSpec(image, entry, overrides[image], files[image])
            for image, entry in entries.items()
            if not overrides[image].skip
        ),
        values=merged(below.values, above.values),
        render_values=merged(below.render_values, above.render_values),
        accepted_images={**below.accepted_images, **above.accepted_images},
        file=version_file if above.subcharts else DEFAULT_FILE,
    )
