"""The lock: the digest of everything that a run replicated, and the inputs that it came from.

It makes a run with nothing to do cheap, keeps a tag that moved at its source from being followed
silently, and says what `verify` and `drift` compare with. It is plain data: nothing here needs AWS
or the network, so that every command may import it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from .oci.digest import is_digest
from .oci.reference import InvalidReference, Reference
from .shared.errors import UserError

VERSION = 1
"""Format of a lock; a lock of another version is not read."""


class LockError(UserError):
    """A lock cannot be read; the text names it and says what to do."""


@dataclass(frozen=True)
class LockedImage:
    """An image that is in place.

    Attributes:
        source: its reference as the chart or data file writes it.
        address: reference that it was fetched from, after mappings.
        digest: digest of its index or manifest.
        attached: tags or digests of signatures and other referrers that were copied with it, in the
            destination's repository.
    """

    source: str
    address: str
    digest: str
    attached: tuple[str, ...] = ()

    @property
    def pinned(self) -> Reference:
        """Where exactly this content was fetched from."""
        return Reference.parse(self.address).with_digest(self.digest)


@dataclass(frozen=True)
class LockedChart:
    """A chart that is in place.

    Attributes:
        name: name of the chart.
        version: its version as the chart itself writes it.
        repository: URL of the chart repository as the data file writes it.
        digest: digest of its manifest at the destination.
        address: reference that it was fetched from, after mappings; None for one from an http(s)
            chart repository.
        attached: as for images.
    """

    name: str
    version: str
    repository: str
    digest: str
    address: str | None = None
    attached: tuple[str, ...] = ()


@dataclass(frozen=True)
class LockedHelm:
    """The Helm that rendered the charts, and so proved the result.

    Attributes:
        version: what it says about itself.
        url: the archive that it came from, None for one on `PATH`.
        sha256: SHA-256 of that archive in hexadecimal digits, None without one.
    """

    version: str
    url: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class LockedWorkload:
    """What the chart of a workload is rendered with, beside its values in the inventory.

    Attributes:
        chart: private reference of the chart.
        render_values: values that whoever installs the chart sets.
        accepted_images: what the chart may name outside the private registry -> why.
    """

    chart: str
    render_values: Mapping[str, object] = field(default_factory=dict)
    accepted_images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LockedRendering:
    """What data files say about rendering, so that `verify` can render without them.

    Attributes:
        eks_version: version of the cluster.
        hosts: registries that the data files name beside those of images.
        workloads: key of the workload -> how its chart is rendered.
    """

    eks_version: str
    hosts: tuple[str, ...]
    workloads: Mapping[str, LockedWorkload]


@dataclass(frozen=True)
class Lock:
    """What a run replicated.

    Attributes:
        inputs: fingerprint of everything that determines the result.
        images: private reference -> image.
        charts: private reference -> chart.
        inventory: the inventory that the run uploaded, None if it made none.
        helm: what proved the result, None when nothing did.
        rendering: how its charts are rendered, None when the run knew no workloads.
    """

    inputs: str
    images: Mapping[str, LockedImage] = field(default_factory=dict)
    charts: Mapping[str, LockedChart] = field(default_factory=dict)
    inventory: Mapping[str, object] | None = None
    helm: LockedHelm | None = None
    rendering: LockedRendering | None = None

    @property
    def digests(self) -> dict[str, str]:
        """Private reference -> digest, of images and charts."""
        images = {private: image.digest for private, image in self.images.items()}
        return images | {private: chart.digest for private, chart in self.charts.items()}

    @property
    def attached(self) -> dict[str, tuple[str, ...]]:
        """Private reference -> tags or digests of what was copied with it, of images and charts."""
        images = {private: image.attached for private, image in self.images.items()}
        return images | {private: chart.attached for private, chart in self.charts.items()}

    def report(self) -> dict[str, object]:
        """What is in place, for programs."""
        return {
            "images": [{"private": name, **asdict(image)} for name, image in sorted(self.images.items())],
            "charts": [{"private": name, **asdict(chart)} for name, chart in sorted(self.charts.items())],
        }

    @classmethod
    def parse(cls, content: bytes, name: str) -> "Lock":
        """Read what `serialise` wrote.

        Args:
            content: the lock's bytes.
            name: what errors call it: its path or S3 address.

        Raises:
            LockError: it is no lock, is damaged, or has another version.
        """
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise LockError(f"{name} is not a lock: it holds no JSON") from None
        if not isinstance(value, dict) or not isinstance(value.get("version"), int):
            raise LockError(f"{name} is not a lock: it has no version")
        if value["version"] != VERSION:
            raise LockError(
                f"{name} is a lock of version {value['version']}, and this program reads version {VERSION}: "
                "use the release of the module that wrote it, or delete it and apply again"
            )
        try:
            return _lock(value)
        except _DamagedError as damage:
            raise LockError(f"{name} is a damaged lock ({damage}): delete it and apply again") from None

    def serialise(self) -> bytes:
        """The lock as JSON; the same lock always has the same bytes."""
        value = {
            "version": VERSION,
            "inputs": self.inputs,
            "images": {private: asdict(image) for private, image in self.images.items()},
            "charts": {private: asdict(chart) for private, chart in self.charts.items()},
            "inventory": self.inventory,
            "helm": asdict(self.helm) if self.helm else None,
            "rendering": asdict(self.rendering) if self.rendering else None,
        }
        return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


class _DamagedError(Exception):
    """A part of a lock is absent or has another shape; the text names the part."""


EntryT = TypeVar("EntryT")


def _lock(value: Mapping[str, object]) -> Lock:
    inventory = value.get("inventory")
    if inventory is not None and not isinstance(inventory, dict):
        raise _DamagedError("`inventory` is no object")
    charts = _entries(value, "charts", _chart)
    return Lock(
        inputs=_text(value, "inputs", "the lock"),
        images=_entries(value, "images", _image),
        charts=charts,
        inventory=inventory,
        helm=_helm(value.get("helm")),
        rendering=_rendering(value.get("rendering"), charts),
    )


def _helm(value: object) -> LockedHelm | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _DamagedError("`helm` is no object")
    if value.get("url") is None:
        return LockedHelm(_text(value, "version", "helm"))
    return LockedHelm(*(_text(value, key, "helm") for key in ("version", "url", "sha256")))


def _rendering(value: object, charts: Mapping[str, LockedChart]) -> LockedRendering | None:
    if value is None:  # also in a lock of a release that wrote none
        return None
    if not isinstance(value, dict) or not isinstance(value.get("workloads"), dict):
        raise _DamagedError("`rendering` is no object with `workloads`")
    hosts = value.get("hosts")
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise _DamagedError("`hosts` of rendering is no list of texts")
    workloads = {key: _workload(found, key, charts) for key, found in value["workloads"].items()}
    return LockedRendering(_text(value, "eks_version", "rendering"), tuple(hosts), workloads)


def _workload(value: object, key: str, charts: Mapping[str, LockedChart]) -> LockedWorkload:
    place = f"rendering.workloads.{key}"
    if not isinstance(value, dict):
        raise _DamagedError(f"`{place}` is no object")
    chart = _text(value, "chart", place)
    if chart not in charts:
        raise _DamagedError(f"`chart` of {place} is not among the charts")
    values, accepted = value.get("render_values"), value.get("accepted_images")
    if not isinstance(values, dict):
        raise _DamagedError(f"`render_values` of {place} is no object")
    if not isinstance(accepted, dict) or not all(isinstance(reason, str) for reason in accepted.values()):
        raise _DamagedError(f"`accepted_images` of {place} is no object of texts")
    return LockedWorkload(chart, values, accepted)


def _entries(
    value: Mapping[str, object], kind: str, entry: Callable[[Mapping[str, object], str], EntryT]
) -> dict[str, EntryT]:
    found = value.get(kind)
    if not isinstance(found, dict):
        raise _DamagedError(f"`{kind}` is no object")
    entries = {}
    for private, content in found.items():
        place = f"{kind}.{private}"
        _check_reference(private, place)
        if not isinstance(content, dict):
            raise _DamagedError(f"`{place}` is no object")
        entries[private] = entry(content, place)
    return entries


def _image(value: Mapping[str, object], place: str) -> LockedImage:
    return LockedImage(
        source=_reference(value, "source", place),
        address=_reference(value, "address", place),
        digest=_digest(value, place),
        attached=_attached(value, place),
    )


def _chart(value: Mapping[str, object], place: str) -> LockedChart:
    return LockedChart(
        name=_text(value, "name", place),
        version=_text(value, "version", place),
        repository=_chart_repository(value, place),
        digest=_digest(value, place),
        address=None if value.get("address") is None else _reference(value, "address", place),
        attached=_attached(value, place),
    )


def _text(value: Mapping[str, object], key: str, place: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise _DamagedError(f"`{key}` of {place} is no text")
    return found


def _reference(value: Mapping[str, object], key: str, place: str) -> str:
    found = _text(value, key, place)
    _check_reference(found, place)
    return found


def _check_reference(text: str, place: str) -> None:
    try:
        Reference.parse(text)
    except InvalidReference as error:
        raise _DamagedError(f"{place}: {error}") from None


def _chart_repository(value: Mapping[str, object], place: str) -> str:
    found = _text(value, "repository", place)
    try:
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https", "oci") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        usable = False
    if not usable:
        raise _DamagedError(f"`repository` of {place} is no URL of a chart repository")
    return found


def _digest(value: Mapping[str, object], place: str) -> str:
    found = _text(value, "digest", place)
    if not is_digest(found):
        raise _DamagedError(f"`digest` of {place} is none")
    return found


def _attached(value: Mapping[str, object], place: str) -> tuple[str, ...]:
    found = value.get("attached", [])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _DamagedError(f"`attached` of {place} is no list of tags or digests")
    for name in found:
        _check_reference(f"x/x{'@' if is_digest(name) else ':'}{name}", f"`attached` of {place}")
    return tuple(found)
