"""From data files and charts to what has to be copied, and to the values that point to the copies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import names
from .charts.archive import Chart, ChartError
from .charts.fetched import FetchedChart, FetchResult
from .datafiles import DataFiles, ImageSpec, Workload
from .mappings import DockerMappings
from .oci.reference import InvalidReference, Reference
from .problems import DataFilesError, Problem, Sought, listed
from .schema import LiteralRepository, Located, LocatedTag
from .shared.errors import UserError
from .values import ValuePathError, Values, assign, look_up, merged, text_at

_EMPTY = (
    "is empty, so the chart takes it from somewhere else: name that place, or set it in the version "
    "file's `replication`"
)


@dataclass(frozen=True)
class Target:
    """The private registry, and the project whose copies it holds."""

    ecr_host: str
    project: str

    def image(self, source: str) -> str:
        """Reference of the private copy of `source`."""
        return names.private_image(self.ecr_host, self.project, source)


@dataclass(frozen=True)
class Reason:
    """Why an image is replicated.

    Attributes:
        workload: workload whose chart uses it; None for an additional image.
        image: its name in the data file.
        paths: value paths that hold the parts of its reference.
    """

    workload: str | None
    image: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image to replicate.

    Attributes:
        source: its reference as the chart or data file writes it.
        address: where it is fetched from, after `docker_mappings`.
        private: reference of the private copy.
        reasons: who uses it.
    """

    source: str
    address: Reference
    private: str
    reasons: tuple[Reason, ...]

    @property
    def repository(self) -> str:
        """Name of the repository that holds the copy."""
        return names.split_reference(self.private)[0].partition("/")[2]


@dataclass(frozen=True)
class ResolvedChart:
    """A chart to replicate, and the values that make it use private images.

    Attributes:
        workload: the workload that it belongs to.
        fetched: the chart.
        host: host of the private registry.
        repository: name of its private repository.
        values: values for whoever installs it.
    """

    workload: Workload
    fetched: FetchedChart
    host: str
    repository: str
    values: Values

    @property
    def version(self) -> str:
        """The version as the chart itself writes it."""
        return self.fetched.chart.version

    @property
    def private(self) -> str:
        """Reference of the private copy."""
        return f"{self.host}/{self.repository}:{names.chart_tag(self.version)}"


@dataclass(frozen=True)
class Resolution:
    """Everything that a run replicates.

    Attributes:
        charts: one per workload.
        images: every image once, in the order of the source reference.
        additional_images: name in the data files -> private reference.
    """

    charts: tuple[ResolvedChart, ...]
    images: tuple[Image, ...]
    additional_images: Mapping[str, str]

    @property
    def repositories(self) -> set[str]:
        """Names of all private repositories."""
        return {image.repository for image in self.images} | {chart.repository for chart in self.charts}


def resolve(data: DataFiles, fetched: Mapping[str, FetchResult], target: Target) -> Resolution:
    """Find every image of every workload.

    Args:
        data: the data files.
        fetched: the chart of each workload, or why it could not be had.
        target: where the copies go.

    Raises:
        DataFilesError: something in the data files does not fit the charts; all problems of all workloads.
    """
    resolution, problems = examine(data, fetched, target)
    if problems:
        raise DataFilesError(
            listed("the data files do not fit the charts; nothing was copied", problems), problems
        )
    return resolution


def examine(
    data: DataFiles, fetched: Mapping[str, FetchResult], target: Target
) -> tuple[Resolution, list[Problem]]:
    """What `resolve` finds, as far as it can be found, and everything that does not fit."""
    images = _Images(data.mappings, target)
    problems: list[Problem] = []
    charts = []
    for workload in data.workloads:
        found = fetched[workload.key]
        if isinstance(found, ChartError):
            text = f"chart {_label(workload)}: {found}"
            problems.append(Problem(workload.file, f"charts.{workload.key}", text, workload.key))
            continue
        resolver = _WorkloadResolver(workload, images, target)
        chart = resolver.resolve(found)
        problems += resolver.problems
        if chart:
            charts.append(chart)
    problems += _collisions(charts)
    additional = {}
    for name, source in data.additional_images.items():
        try:
            additional[name] = images.add(source, Reason(None, name))
        except InvalidReference as error:
            problems.append(Problem("", f"additional_images.{name}", str(error), image=name))
    return Resolution(tuple(charts), images.all(), additional), problems


def _label(workload: Workload) -> str:
    return f"{workload.chart} {workload.version}"


def _collisions(charts: list[ResolvedChart]) -> Iterator[Problem]:
    """Two different charts that would overwrite each other."""
    first: dict[str, ResolvedChart] = {}
    for chart in charts:
        other = first.setdefault(chart.private, chart)
        if other.fetched.archive != chart.fetched.archive:
            yield Problem(
                "",
                f"charts.{chart.workload.key} and charts.{other.workload.key}",
                f"both would be {chart.private}, but they are different charts: give one repository "
                "another last segment",
                chart.workload.key,
            )


class _Images:
    """Images found so far, each once, with all reasons."""

    def __init__(self, mappings: DockerMappings, target: Target) -> None:
        self._mappings = mappings
        self._target = target
        self._found: dict[str, tuple[Reference, list[Reason]]] = {}

    def add(self, source: str, reason: Reason) -> str:
        """Note an image and return its private reference.

        Raises:
            InvalidReference: `source`, or what `docker_mappings` make of it, is not a reference.
        """
        address = self._mappings.image(Reference.parse(source))
        self._found.setdefault(source, (address, []))[1].append(reason)
        return self._target.image(source)

    def all(self) -> tuple[Image, ...]:
        """All images, in the order of their sources."""
        return tuple(
            Image(source, address, self._target.image(source), tuple(reasons))
            for source, (address, reasons) in sorted(self._found.items())
        )


@dataclass(frozen=True)
class _Part:
    """One part of an image's reference: its text, and the value path that holds it (None: no value)."""

    text: str
    path: str | None


class _WorkloadResolver:
    """Resolves one workload, and collects what does not fit instead of stopping at it."""

    def __init__(self, workload: Workload, images: _Images, target: Target) -> None:
        self.problems: list[Problem] = []
        self._workload = workload
        self._images = images
        self._target = target
        self._overrides: dict[str, object] = {}

    def resolve(self, fetched: FetchedChart) -> ResolvedChart | None:
        """The chart with its values; None when there are problems."""
        workload = self._workload
        for name in workload.subcharts:
            if _subchart(fetched.chart, name) is None:
                self._report(workload.file, "subcharts", f"has no subchart `{name}`")
        for spec in workload.images:
            self._image(spec, fetched.chart)
        repository = self._chart_repository()
        if self.problems or repository is None:
            return None
        values = merged(workload.values, self._overrides)
        return ResolvedChart(workload, fetched, self._target.ecr_host, repository, values)

    def _chart_repository(self) -> str | None:
        workload = self._workload
        try:
            return names.chart_repository(self._target.project, workload.repository, workload.chart)
        except UserError as error:
            self._report(workload.file, "name", str(error))
            return None

    def _image(self, spec: ImageSpec, chart: Chart) -> None:
        found = len(self.problems)
        registry = self._part(spec, chart, "registry", spec.entry.registry, spec.override.registry)
        repository = self._repository(spec, chart)
        tag = self._part(spec, chart, "tag", spec.entry.tag, spec.override.tag)
        if spec.entry.remove:
            self._remove(spec, chart, spec.entry.remove.path)
        if len(self.problems) > found or repository is None:
            return
        self._add(spec, registry, repository, tag)

    def _repository(self, spec: ImageSpec, chart: Chart) -> _Part | None:
        entry = spec.entry.repository
        if isinstance(entry, LiteralRepository):
            return _Part(spec.override.repository or entry.name, None)
        return self._part(spec, chart, "repository", entry, spec.override.repository)

    def _part(
        self, spec: ImageSpec, chart: Chart, name: str, located: Located | None, override: str | None
    ) -> _Part | None:
        """One part, from the version file's override or from where the chart keeps it."""
        if located is None:
            return _Part(override, None) if override else None
        in_values = located.location == "values"
        try:
            key, home = _home(chart, located.subchart)
            # Values of a subchart are read from its parent's, which may set them.
            path = f"{key}.{located.path}" if key and in_values else located.path
            text = text_at(chart.values if in_values else home.metadata, path)
            if not override and not text:
                raise ValuePathError(_EMPTY)
        except ValuePathError as problem:
            sought = _sought(chart, located)
            self._report_path(spec, name, located.path, str(problem), sought, located.subchart)
            return None
        if isinstance(located, LocatedTag):
            text = f"{located.prefix}{text}{located.suffix}"
        return _Part(override or text, path if in_values else None)

    def _remove(self, spec: ImageSpec, chart: Chart, path: str) -> None:
        try:
            look_up(chart.values, path)
            assign(self._overrides, path, "")
        except ValuePathError as problem:
            self._report_path(spec, "remove", path, str(problem), Sought(path, chart.values))

    def _add(self, spec: ImageSpec, registry: _Part | None, repository: _Part, tag: _Part | None) -> None:
        """Note the image, and set the values that hold its parts."""
        name = f"{registry.text.rstrip('/')}/{repository.text}" if registry else repository.text
        source = f"{name}:{tag.text}" if tag else name
        try:
            parts = (registry, repository, tag)
            paths = tuple(part.path for part in parts if part and part.path)
            self._images.add(source, Reason(self._workload.key, spec.key, paths))
        except InvalidReference as error:
            self._report_at(spec, "repository", f"chart {_label(self._workload)}: {error}")
            return
        if registry and registry.path:
            self._set_registry_and_repository(spec, registry, repository, name)
        elif repository.path:
            plain, suffix = names.split_reference(name)
            private = names.image_repository(self._target.project, plain)
            self._set(spec, "repository", repository.path, f"{self._target.ecr_host}/{private}{suffix}")
        if tag and tag.path and spec.entry.tag:
            # The chart writes prefix and suffix itself, so the value must not have them.
            plain = tag.text.removeprefix(spec.entry.tag.prefix).removesuffix(spec.entry.tag.suffix)
            self._set(spec, "tag", tag.path, plain)

    def _set_registry_and_repository(
        self, spec: ImageSpec, registry: _Part, repository: _Part, name: str
    ) -> None:
        """Split the private name where the source's was, so that one registry serves many images."""
        plain, suffix = names.split_reference(name)
        private = names.image_repository(self._target.project, plain).split("/")
        host_parts = registry.text.rstrip("/").count("/") + 1
        folder, rest = "/".join(private[:host_parts]), "/".join(private[host_parts:])
        slash = "/" if registry.text.endswith("/") else ""
        self._set(spec, "registry", str(registry.path), f"{self._target.ecr_host}/{folder}{slash}")
        if repository.path:
            self._set(spec, "repository", repository.path, f"{rest}{suffix}")
        elif f"{rest}{suffix}" != repository.text:
            self._report_at(
                spec, "repository", f"`{repository.text}` would be `{rest}` in ECR, and no value can say so"
            )

    def _set(self, spec: ImageSpec, name: str, path: str, value: str) -> None:
        try:
            assign(self._overrides, path, value)
        except ValuePathError as problem:
            self._report_path(spec, name, path, str(problem))

    def _report_path(
        self,
        spec: ImageSpec,
        name: str,
        path: str,
        what: str,
        sought: Sought | None = None,
        subchart: str | None = None,
    ) -> None:
        where = f" of subchart `{subchart}`" if subchart else ""
        text = f"chart {_label(self._workload)}: `{path}`{where} {what}"
        self._report_at(spec, name, text, sought or Sought(path))

    def _report_at(self, spec: ImageSpec, name: str, what: str, sought: Sought | None = None) -> None:
        workload = self._workload.key
        place = f"charts.{workload}.images.{spec.key}.{name}"
        self.problems.append(Problem(spec.file, place, what, workload, spec.key, sought))

    def _report(self, file: str, name: str, what: str) -> None:
        workload = self._workload.key
        text = f"chart {_label(self._workload)} {what}"
        self.problems.append(Problem(file, f"charts.{workload}.{name}", text, workload))


def _home(chart: Chart, subchart: str | None) -> tuple[str | None, Chart]:
    """The key that holds a subchart's values, and the subchart; the chart itself without one."""
    if subchart is None:
        return None, chart
    found = _subchart(chart, subchart)
    if found is None:
        raise ValuePathError("does not exist, since the chart has no such subchart")
    return found


def _sought(chart: Chart, located: Located) -> Sought:
    """Where a path was looked for; in the whole chart when there is no such subchart."""
    key, home = (_subchart(chart, located.subchart) if located.subchart else None) or (None, chart)
    if located.location == "chart":
        return Sought(located.path, home.metadata)
    values = chart.values.get(key) if key else chart.values
    return Sought(located.path, values if isinstance(values, Mapping) else {})


def _subchart(chart: Chart, name: str) -> tuple[str, Chart] | None:
    """A subchart by the key of its values or by its own name."""
    if name in chart.subcharts:
        return name, chart.subcharts[name]
    return next(((key, found) for key, found in chart.subcharts.items() if found.name == name), None)
