"""The images that a request stands on: found, pinned to a digest, and read."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..layers.models import Stage
from ..oci.download import Download
from ..oci.errors import RegistryError
from ..oci.manifests import INDEX_TYPES, OCI_INDEX, Descriptor, Manifest
from ..oci.meter import Meter
from ..oci.reference import InvalidReference, Reference
from ..oci.registry import Repository
from ..oci.transport import Transport
from ..shared.inventory import Inventory
from .errors import BaseUnavailableError, NotAllowedError
from .hosts import HostPolicy
from .settings import BuildSettings

SCRATCH = "scratch"
DEFAULT_PLATFORM = "linux/amd64"
# What builders give an image that has no base.
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KNOWN = 64  # configurations that are kept in memory
CONFIG_LIMIT = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Base:
    """An image to stand on.

    Attributes:
        reference: the image by digest; None for `scratch`.
        config: its configuration (OCI image-spec, Image Configuration); never changed.
        layers: its layers.
        platform: `os/architecture[/variant]`.
        manifest: its manifest; None for `scratch`.
    """

    reference: Reference | None
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...] = ()
    platform: str = DEFAULT_PLATFORM
    manifest: Manifest | None = None

    @property
    def created(self) -> str | None:
        """When it was made, as its configuration says."""
        value = self.config.get("created")
        return value if isinstance(value, str) else None

    @property
    def runtime(self) -> Mapping[str, Any]:
        """What a container of it begins with: environment, command, user and so on."""
        value = self.config.get("config")
        return value if isinstance(value, dict) else {}


@dataclass
class Bases:
    """Finds bases; configurations of those found before are kept.

    Args:
        settings: named bases, private copies of public ones, allowed hosts.
        policy: which hosts may be asked.
    """

    settings: BuildSettings
    policy: HostPolicy
    _known: OrderedDict[str, Base] = field(default_factory=OrderedDict)

    def reference(self, name: str) -> Reference:
        """What is really pulled for a name: a named base's reference, or the private copy of a public one.

        Raises:
            BaseUnavailableError: the name is no reference.
        """
        named = self.settings.bases.get(name, name)
        try:
            return Reference.parse(Inventory(self.settings.images).private(_as_written(named)))
        except InvalidReference as error:
            raise BaseUnavailableError(f"base {name!r}: {error}") from None

    async def find(self, transport: Transport, stage: Stage) -> Base:
        """The base of a stage.

        Raises:
            BuildError: it is not there, or may not be asked for.
        """
        return await self.find_named(transport, stage.reference, stage.platform)

    async def find_named(self, transport: Transport, name: str, platform: str | None) -> Base:
        """The base of this name, of the platform or, without one, of linux/amd64.

        Raises:
            BuildError: it is not there, or may not be asked for.
        """
        wanted = platform or DEFAULT_PLATFORM
        if name == SCRATCH:
            return Base(None, {"config": {"Env": [DEFAULT_PATH]}}, platform=wanted)
        reference = self.reference(name)
        await self.policy.check(reference.registry, f"base {name!r}")
        try:
            return await self._find(transport, reference, wanted, name)
        except RegistryError as error:
            raise BaseUnavailableError(f"base {name!r}: {error}") from None
        except NotAllowedError as error:  # of the connection, which knows addresses and not what they are for
            raise NotAllowedError(f"base {name!r}: {error}") from None

    async def _find(self, transport: Transport, reference: Reference, platform: str, name: str) -> Base:
        place = Repository(transport, reference)
        # Asked also for what is known by its digest: who may read it is the registry's to say, every time.
        found = await place.head_manifest(reference.identifier)
        digest = reference.digest or found
        key = f"{reference.registry}/{reference.repository}@{digest} {platform}"
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        manifest = await place.get_manifest(digest)
        if manifest.media_type in INDEX_TYPES:
            manifest = await place.get_manifest(_of_platform(manifest, platform, name))
        base = await _read(transport, reference, manifest, name)
        if _architecture(base.platform) != _architecture(platform):
            raise BaseUnavailableError(f"base {name!r}: it is an image for {base.platform}, not {platform}")
        self._known[key] = base
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return base


def _as_written(name: str) -> str:
    """A name without a tag means `latest`: the inventory may have it either way."""
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"


def _of_platform(index: Manifest, platform: str, name: str) -> str:
    """The digest of an index's image for a platform; without a variant, any variant will do."""
    system, architecture, variant = _parts(platform)
    offered = []
    for entry in json.loads(index.raw)["manifests"]:
        about = entry.get("platform") or {}
        offered.append("/".join(filter(None, map(about.get, ("os", "architecture", "variant")))))
        same = (about.get("os"), about.get("architecture")) == (system, architecture)
        if same and variant in (None, about.get("variant")):
            return str(entry["digest"])
    kind = "an index" if index.media_type == OCI_INDEX else "a list"
    raise BaseUnavailableError(f"base {name!r}: it is {kind} without {platform}; it has {', '.join(offered)}")


async def _read(transport: Transport, reference: Reference, manifest: Manifest, name: str) -> Base:
    value = json.loads(manifest.raw)
    descriptor = Descriptor(**_names(value["config"]))
    if descriptor.size > CONFIG_LIMIT:
        raise BaseUnavailableError(f"base {name!r}: its configuration has {descriptor.size} bytes")
    place = Repository(transport, reference)
    async with Download(place, descriptor, transport.retry, Meter()) as download:
        content = await download.read()
    try:
        config = json.loads(content)
        check_types(config)
        layers = tuple(Descriptor(**_names(layer)) for layer in value["layers"])
        if len(config["rootfs"]["diff_ids"]) != len(layers):
            raise ValueError
        parts = (config["os"], config["architecture"], config.get("variant"))
        platform = "/".join(filter(None, parts))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BaseUnavailableError(f"base {name!r}: it is no image of a container") from None
    pinned = Reference(reference.registry, reference.repository, digest=manifest.digest)
    if (config.get("config") or {}).get("OnBuild"):
        raise BaseUnavailableError(
            f"base {name!r}: it has ONBUILD instructions, which would run unseen; write them into the request"
        )
    return Base(pinned, config, layers, platform, manifest)


def check_types(config: dict[str, Any]) -> None:
    """Refuse what is not as the specification says; what is left out may be null as well.

    Raises:
        TypeError: something has another type (OCI image-spec, Image Configuration).
    """
    runtime = config.get("config") or {}
    strings = _list_of(str)
    expected = [
        (config["rootfs"]["diff_ids"], strings),
        (config.get("history"), _list_of(dict)),
        (runtime, _is(dict)),
        *((runtime.get(key), strings) for key in ("Env", "Entrypoint", "Cmd", "Shell", "OnBuild")),
        *((runtime.get(key), _is(dict)) for key in ("ExposedPorts", "Volumes", "Labels", "Healthcheck")),
        *((runtime.get(key), _is(str)) for key in ("User", "WorkingDir", "StopSignal")),
    ]
    if not all(value is None or fits(value) for value, fits in expected):
        raise TypeError


def _is(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


def _list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _names(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "media_type": descriptor["mediaType"],
        "digest": descriptor["digest"],
        "size": descriptor["size"],
    }


def _parts(platform: str) -> tuple[str, str, str | None]:
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    return system, architecture, variant or None


def _architecture(platform: str) -> str:
    return "/".join(platform.split("/")[:2])
