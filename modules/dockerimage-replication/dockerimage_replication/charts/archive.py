"""A chart's archive, read in memory and without trust: nothing of it is ever written to disk."""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..values import Values, merged
from .untrusted_yaml import UntrustedYamlError, load_values

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ARCHIVE = 32 * 1024 * 1024  # bytes of a packed chart
MAX_UNPACKED = 100 * 1024 * 1024  # bytes of a chart with its subcharts; Helm has the same limit
MAX_FILE = 5 * 1024 * 1024  # bytes of one file in a chart; Helm has the same limit
MAX_DEPTH = 5  # charts inside charts

_METADATA, _VALUES = "Chart.yaml", "values.yaml"
_DRIVE = re.compile(r"[A-Za-z]:")


class ChartError(Exception):
    """A chart cannot be had, or its archive is broken or hostile; the text says what is wrong."""


@dataclass(frozen=True)
class Chart:
    """What a chart says about itself.

    Attributes:
        metadata: its `Chart.yaml`.
        values: its `values.yaml`, with those of its subcharts below their keys, as Helm merges them.
        subcharts: its subcharts, by the key that holds their values.
    """

    metadata: Values
    values: Values
    subcharts: Mapping[str, "Chart"] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The chart's name."""
        return str(self.metadata.get("name", ""))

    @property
    def version(self) -> str:
        """The chart's version."""
        return str(self.metadata.get("version", ""))


def read_chart(archive: bytes) -> Chart:
    """Read a packed chart (`.tgz`) with its subcharts, unpacked or packed ones.

    Raises:
        ChartError: it is no archive, no chart, too large, or has members that no chart needs (links,
            devices, paths that lead out of it).
    """
    return _read(archive, _Budget(MAX_UNPACKED), depth=0)


@dataclass
class _Budget:
    """Bytes that may still be unpacked, over all archives inside one another."""

    left: int

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ChartError(f"its archive unpacks to more than {MAX_UNPACKED} bytes")


class _Limited(io.RawIOBase):
    """Unpacked bytes, counted as they are made, so that a small archive cannot fill the memory."""

    def __init__(self, source: gzip.GzipFile, budget: _Budget) -> None:
        self._source = source
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._source.read(min(len(view), self._budget.left + 1))
        self._budget.take(len(data))
        view[: len(data)] = data
        return len(data)


def _read(archive: bytes, budget: _Budget, depth: int) -> Chart:
    if len(archive) > MAX_ARCHIVE:
        raise ChartError(f"its archive is larger than {MAX_ARCHIVE} bytes")
    files: dict[PurePosixPath, bytes] = {}
    try:
        with gzip.open(io.BytesIO(archive)) as unpacked:
            stream = io.BufferedReader(_Limited(unpacked, budget))
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for path, content in _members(tar):
                    if path in files:
                        raise ChartError(f"its archive holds {path} twice")
                    files[path] = content
        return _chart(files, budget, depth)
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise ChartError(f"its archive cannot be read: {error}") from None
    except RecursionError:
        raise ChartError("its files nest too deep") from None


def _members(tar: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files that matter, by their path below the chart's folder; harmful members are refused."""
    for member in tar:
        path = _safe_path(member.name)
        if member.isdir():
            continue
        if not member.isreg():
            raise ChartError(f"its archive holds {member.name!r}, which is neither a file nor a folder")
        if member.size > MAX_FILE:
            raise ChartError(f"its archive holds {member.name!r}, which is larger than {MAX_FILE} bytes")
        if _is_wanted(path):
            content = tar.extractfile(member)
            yield PurePosixPath(*path.parts[1:]), content.read() if content else b""


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or _DRIVE.match(name):
        raise ChartError(f"its archive holds the path {name!r}, which leads out of it")
    return path


def _is_wanted(path: PurePosixPath) -> bool:
    return path.name in (_METADATA, _VALUES) or (path.suffix == ".tgz" and path.parent.name == "charts")


def _chart(files: Mapping[PurePosixPath, bytes], budget: _Budget, depth: int) -> Chart:
    """A chart from files whose paths are relative to its folder."""
    if depth > MAX_DEPTH:
        raise ChartError(f"it nests charts deeper than {MAX_DEPTH}")
    metadata = _mapping(files, _METADATA)
    if not metadata.get("name") or not metadata.get("version"):
        raise ChartError("its Chart.yaml is absent, or has no name or version")
    subcharts: dict[str, Chart] = {}
    for chart in _subcharts(files, budget, depth):
        subcharts.update(dict.fromkeys(_keys(metadata, chart.name), chart))
    values = _mapping(files, _VALUES)
    beneath = {key: chart.values for key, chart in subcharts.items()}
    return Chart(metadata, merged(beneath, values), subcharts)


def _subcharts(files: Mapping[PurePosixPath, bytes], budget: _Budget, depth: int) -> Iterator[Chart]:
    folders: dict[str, dict[PurePosixPath, bytes]] = {}
    for path, data in files.items():
        match path.parts:
            case ("charts", name) if name.endswith(".tgz"):
                yield _read(data, budget, depth + 1)
            case ("charts", folder, *rest) if rest and not folder.startswith(("_", ".")):
                folders.setdefault(folder, {})[PurePosixPath(*rest)] = data
    for contents in folders.values():
        yield _chart(contents, budget, depth + 1)


def _keys(metadata: Values, name: str) -> list[str]:
    """The keys that hold a subchart's values: its aliases, or its name where it has none."""
    dependencies = metadata.get("dependencies")
    entries = dependencies if isinstance(dependencies, list) else []
    mine = [entry for entry in entries if isinstance(entry, Mapping) and entry.get("name") == name]
    return [str(entry.get("alias") or name) for entry in mine] or [name]


def _mapping(files: Mapping[PurePosixPath, bytes], name: str) -> dict[str, object]:
    # The metadata is written out again, as the config of the OCI artifact.
    try:
        content = load_values(files.get(PurePosixPath(name), b""), aliases=name != _METADATA)
    except UntrustedYamlError as error:
        raise ChartError(f"its {name} is not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ChartError(f"its {name} is not a mapping")
    return content
