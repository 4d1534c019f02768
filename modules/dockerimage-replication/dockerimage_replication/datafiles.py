"""The two data files of a run, read and laid over each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from .mappings import DockerMappings
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
from .shared.errors import UserError
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
        file: data file that names the subcharts, for messages.
    """

    key: str
    chart: str
    repository: str
    version: str
    subcharts: tuple[str, ...]
    images: tuple[ImageSpec, ...]
    values: Values
    file: str


@dataclass(frozen=True)
class DataFiles:
    """What both data files say together.

    Attributes:
        version_file: name of the version file, for messages.
        ami_version: version of the nodes' machine image, None when the version file has none.
        workloads: those that are not skipped.
        additional_images: name -> full reference.
        mappings: the version file's `docker_mappings`.
    """

    version_file: str
    ami_version: str | None
    workloads: tuple[Workload, ...]
    additional_images: Mapping[str, str]
    mappings: DockerMappings


def load(folder: Path, eks_version: str) -> DataFiles:
    """Read `default.yaml` and `<eks_version>.yaml` in `folder`; what the version file says wins.

    Raises:
        UserError: a file is absent, is not YAML, or breaks the schema; every problem of a file at once.
    """
    default = _parse(_existing(folder / DEFAULT_FILE), DefaultFile)
    version_path = folder / f"{eks_version}.yaml"
    version = _parse(_existing_version(version_path), VersionFile)
    return DataFiles(
        version_file=version_path.name,
        ami_version=version.ami.version if version.ami else None,
        workloads=_workloads(default, version, version_path.name),
        additional_images={**default.additional_images, **version.additional_images},
        mappings=DockerMappings(version.docker_mappings),
    )


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(
            f"the data file {path} does not exist: add it to the module's `dataFiles` in the manifest"
        )
    return path


def _existing_version(path: Path) -> Path:
    if path.is_file():
        return path
    versions = sorted(file.stem for file in path.parent.glob("*.yaml") if file.name != DEFAULT_FILE)
    there = f"there are {', '.join(versions)}" if versions else "there is no version file"
    raise UserError(
        f"the data file {path} of EKS version {path.stem} does not exist ({there}): correct `eks-version`, "
        "or add the file to the module's `dataFiles` in the manifest"
    )


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
        raise UserError(f"the data file {path} must be a mapping with keys such as `charts`")
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        lines = [
            f"  - {_dotted(item['loc'])}: {_reason(item['type'], item['msg'], item['input'])}"
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise UserError(f"the data file {path} is not valid:\n" + "\n".join(lines)) from None


def _yaml(path: Path) -> object:
    try:
        # _Loader is a SafeLoader: it makes plain values only.
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise UserError(f"the data file {path} is not valid YAML:{where} {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"the data file {path} is not valid YAML: {error}") from None


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


def _workloads(default: DefaultFile, version: VersionFile, version_file: str) -> tuple[Workload, ...]:
    problems: list[str] = []
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
    if problems:
        raise UserError("the data files do not fit together:\n" + "\n".join(problems))
    return tuple(workloads)


def _problems(key: str, below: ChartEntry, above: VersionedChartEntry, version_file: str) -> Iterator[str]:
    for name in ("name", "repository", "version"):
        if getattr(above, name) is None and getattr(below, name) is None:
            yield f"  - charts.{key}: `{name}` is neither in {DEFAULT_FILE} nor in {version_file}"
    for image in above.replication.keys() - (below.images.keys() | above.images.keys()):
        yield f"  - charts.{key}.replication.{image} in {version_file}: the workload has no image `{image}`"


def _workload(key: str, below: ChartEntry, above: VersionedChartEntry, version_file: str) -> Workload:
    files = dict.fromkeys(below.images, DEFAULT_FILE) | dict.fromkeys(above.images, version_file)
    entries = {**below.images, **above.images}
    return Workload(
        key=key,
        chart=str(above.name or below.name),
        repository=str(above.repository or below.repository),
        version=str(above.version or below.version),
        subcharts=tuple(above.subcharts or below.subcharts),
        images=tuple(
            ImageSpec(image, entry, above.replication.get(image, ReplicationOverride()), files[image])
            for image, entry in entries.items()
        ),
        values=merged(below.values, above.values),
        file=version_file if above.subcharts else DEFAULT_FILE,
    )
