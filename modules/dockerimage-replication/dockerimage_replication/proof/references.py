"""Every image that an object names, wherever it does."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from . import keys
from .composed import composed
from .objects import RenderedObject, embedded
from .registries import Known, has_version, parsed
from .texts import references_in

_MAX_DEPTH = 3  # documents inside documents
_CONTAINERS = {
    "containers": "a container",
    "initContainers": "an init container",
    "ephemeralContainers": "an ephemeral container",
}
_ASSIGNMENT = re.compile(r"(--?[A-Za-z][\w.-]*|[A-Za-z_][\w.]*)=(\S+)")
_FLAG = re.compile(r"--?[A-Za-z][\w.-]*")
_TEMPLATE = re.compile(r"\{\{|\$\{|\$\(|%[sv]")
# What stands at a key such as `image` without being one.
_NO_IMAGES = frozenset({"auto", "default", "disabled", "enabled", "false", "latest", "no", "none", "null"})
_NO_IMAGES |= {"off", "on", "true", "yes", "~"}
_FILES = (".css", ".gif", ".html", ".ico", ".iso", ".jpeg", ".jpg", ".json", ".png", ".svg", ".webp")
OPERATOR_DEFAULT = "the operator's default registry"

Path = tuple[str | int, ...]


class Names(Enum):
    """What a text names."""

    IMAGE = "image"
    """One image; without tag and digest it is `latest`."""
    REPOSITORY = "repository"
    """The images of a repository, when it has neither tag nor digest."""
    REGISTRY = "registry"
    """A registry, from which images are composed elsewhere."""
    NOTHING = "nothing"
    """Stands where an image has to be, and is none."""


@dataclass(frozen=True)
class Named:
    """An image that an object names.

    Attributes:
        text: as it stands there.
        names: what it is.
        where: the object and the path in it.
        why: why it counts as an image.
    """

    text: str
    names: Names
    where: str
    why: str


def named_images(found: RenderedObject, known: Known) -> list[Named]:
    """The images that an object names, in the order of their places."""
    return list(_Finder(found, known).find())


class _Finder:
    def __init__(self, found: RenderedObject, known: Known) -> None:
        self._object = found
        self._known = known
        # Parts that YAML aliases repeat are looked at once; kept, so that no other gets the same id.
        self._seen: dict[int, object] = {}

    def find(self) -> Iterator[Named]:
        yield from _operator_registry(self._object)
        yield from self._visit(self._object.tree, (), 0)

    def _visit(self, value: object, path: Path, depth: int) -> Iterator[Named]:
        if isinstance(value, str):
            yield from self._text(value, path, depth, "", "")
        elif id(value) not in self._seen:
            self._seen[id(value)] = value
            if isinstance(value, Mapping):
                yield from self._mapping(value, path, depth)
            elif isinstance(value, list):
                yield from self._list(value, path, depth)

    def _mapping(self, mapping: Mapping[str, object], path: Path, depth: int) -> Iterator[Named]:
        parts = composed(mapping, _key(path))
        done: tuple[str, ...] = ()
        if parts and not self._is_schema(path):
            text, key = parts
            done = (key, "registry", "imageRegistry")
            kind = Names.IMAGE if has_version(text) else Names.REPOSITORY
            yield self._named(text, kind, (*path, key), "its parts are those of an image")
        name = mapping.get("name")
        for key, value in mapping.items():
            if depth:
                yield from self._words(key, path)  # a script may read as YAML: `run x && :`
            if isinstance(value, str) and key not in done:
                called = name if key == "value" and isinstance(name, str) else ""
                yield from self._text(value, (*path, key), depth, called, "")
            elif not isinstance(value, str):
                yield from self._visit(value, (*path, key), depth)

    def _list(self, items: list[object], path: Path, depth: int) -> Iterator[Named]:
        before = ""
        for number, item in enumerate(items):
            if isinstance(item, str):
                yield from self._text(item, (*path, number), depth, "", before)
            else:
                yield from self._visit(item, (*path, number), depth)
            before = item if isinstance(item, str) else ""

    def _text(self, text: str, path: Path, depth: int, called: str, before: str) -> Iterator[Named]:
        """The images of a text.

        Args:
            text: the text.
            path: where it stands.
            depth: documents around its own.
            called: name of the variable whose value it is.
            before: the text before it in a list.
        """
        text = text.strip()
        if not text or self._is_schema(path):
            return
        container = _container(path)
        if container:
            yield from self._container(text, path, container)
            return
        documents = embedded(text) if depth < _MAX_DEPTH else []
        if documents:
            for document in documents:
                yield from self._visit(document, path, depth + 1)
            return
        key = called or (before if _FLAG.fullmatch(before) else _key(path))
        found = self._by_key(key, text, path, depth)
        if found:
            yield found
            return
        for assignment in filter(None, map(_ASSIGNMENT.fullmatch, text.split())):
            found = self._by_key(assignment[1], assignment[2], path, depth)
            if found:
                yield found
                text = text.replace(assignment[0], "")
        yield from self._words(text, path)

    def _words(self, text: str, path: Path) -> Iterator[Named]:
        for reference, why in references_in(text, self._known):
            kind = Names.IMAGE if has_version(reference) else Names.REPOSITORY
            yield self._named(reference, kind, path, why)

    def _container(self, text: str, path: Path, container: str) -> Iterator[Named]:
        if parsed(text):
            yield self._named(text, Names.IMAGE, path, f"it is the image of {container}")
        elif not _TEMPLATE.search(text):
            yield self._named(text, Names.NOTHING, path, f"it stands where the image of {container} does")

    def _by_key(self, key: str, text: str, path: Path, depth: int) -> Named | None:
        """An image or registry that is one because the name of its key, flag or variable says so."""
        if keys.names_registry(key):
            host = text.partition("://")[2] or text
            if "://" not in text and self._known.is_registry(host.partition("/")[0]):
                return self._named(text.rstrip("/"), Names.REGISTRY, path, f"`{key}` is a registry")
            return None
        if not _can_be_image(text) or not _says_image(key, text, embedded=depth > 0):
            return None
        repository = keys.names_repository(key) and not has_version(text)
        return self._named(
            text, Names.REPOSITORY if repository else Names.IMAGE, path, f"`{key}` is an image"
        )

    def _is_schema(self, path: Path) -> bool:
        """Whether a path is in the description of a kind of objects, where only defaults are real."""
        return self._object.kind == "CustomResourceDefinition" and "default" not in path

    def _named(self, text: str, names: Names, path: Path, why: str) -> Named:
        return Named(text, names, f"{self._object} {_written(path)}", why)


def _operator_registry(found: RenderedObject) -> Iterator[Named]:
    """The registry from which Calico's operator composes the names of all its images."""
    if found.kind != "Installation" or not str(found.tree.get("apiVersion")).startswith(
        "operator.tigera.io/"
    ):
        return
    spec = found.tree.get("spec")
    registry = spec.get("registry") if isinstance(spec, Mapping) else None
    text = str(registry or "").rstrip("/") or OPERATOR_DEFAULT
    yield Named(
        text, Names.REGISTRY, f"{found} spec.registry", "Calico's operator composes its images with it"
    )


def _container(path: Path) -> str:
    """What an image belongs to that stands at this path; empty when it is no container."""
    match path:
        case (*_, str() as containers, int(), "image"):
            return _CONTAINERS.get(containers, "")
        case (*_, "image", "reference"):
            return "a volume"
    return ""


def _can_be_image(text: str) -> bool:
    plain = text.lower()
    if plain in _NO_IMAGES or plain.isdigit() or _TEMPLATE.search(text) or not parsed(text):
        return False
    return has_version(text) or not plain.endswith(_FILES)


def _says_image(key: str, text: str, *, embedded: bool) -> bool:
    """Whether a key and the shape of its value say together that the value is an image."""
    shaped = "/" in text or has_version(text)
    if keys.names_image(key) or keys.names_images(key) or keys.names_repository(key):
        # Settings of programs have many an `image` that is a picture.
        return shaped or not embedded
    return keys.mentions_image(key) and "/" in text and has_version(text)


def _key(path: Path) -> str:
    """The last key of a path."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _written(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int) or not re.fullmatch(r"[\w-]+", part):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
