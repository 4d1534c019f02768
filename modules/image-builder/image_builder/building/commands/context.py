"""The folder that buildah is given: the Dockerfile's files, and its own configuration."""

import hashlib
import posixpath
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...layers.dockerfile import DEFAULT_SHELL, AnyLayer, render
from ...layers.models import Add, Copy, Run, Shell, Stage
from ...layers.mounts import CacheMount
from ..assembled.archives import is_archive, open_content, unpack
from ..assembled.nodes import Kind, Node, Part
from ..assembled.sources import matching
from ..assembled.spool import Spool
from ..bases import SCRATCH
from ..errors import InvalidRequestError
from ..preparation import Prepared
from ..stages import Plan, StagePlan, from_layer
from .stores import image_id

FETCHED = "fetched"  # a context of their own, so that no layer copies them unasked
_NOTHING = "ignore-nothing"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~@:-]{0,200}")
_SETTINGS = {
    "policy.json": '{"default":[{"type":"insecureAcceptAnything"}]}',
    "containers.conf": "",
    _NOTHING: "",
    "registries.conf": 'unqualified-search-registries = []\nshort-name-mode = "disabled"\n',
}


def environment(job: Path) -> dict[str, str]:
    """Everything that programs of a build have in their environment; nothing of the service's."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(job),
        "TMPDIR": str(job / "tmp"),
        "XDG_RUNTIME_DIR": str(job / "tmp"),
        "CONTAINERS_CONF": str(job / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(job / "registries.conf"),
        "_CONTAINERS_USERNS_CONFIGURED": "done",
        "LANG": "C.UTF-8",
    }


def write_settings(job: Path) -> list[Path]:
    """buildah's own files and folders in a build's folder."""
    for name, text in _SETTINGS.items():
        (job / name).write_text(text, encoding="utf-8")
    (job / "tmp").mkdir()
    return [job, job / "tmp"]


def write_files(files: Mapping[str, Node], folder: Path) -> list[Path]:
    """Write the files of a request; what was written."""
    folder.mkdir(mode=0o755)
    written = [folder]
    modes: list[tuple[Path, int]] = []
    for name in sorted(files, key=lambda name: name.split("/")):
        path, node = folder / name, files[name]
        if node.kind is Kind.FOLDER:
            path.mkdir()
        else:
            _write(path, node)
        modes.append((path, node.mode))
        written.append(path)
    for path, mode in reversed(modes):
        path.chmod(mode)
    return written


def place_fetched(plan: Plan, fetched: Mapping[int, Path], folder: Path) -> list[Path]:
    """Move the files that came from URLs to where buildah reads them, each in a folder of its own."""
    written = [folder]
    folder.mkdir()
    for number in plan.needed:
        for position, layer in plan.stages[number].layers:
            if isinstance(layer, Add) and position in fetched:
                own = folder / str(position)
                own.mkdir()
                fetched[position].rename(own / fetched_name(layer, position))
                written += [own, own / fetched_name(layer, position)]
    return written


def context_options(job: Path) -> list[str | Path]:
    """What buildah has to know of its files: all count, whatever a `.dockerignore` among them says."""
    return ["--ignorefile", job / _NOTHING, f"--build-context={FETCHED}={job / FETCHED}", job / "context"]


def _write(path: Path, node: Node) -> None:
    if isinstance(node.content, Part) and node.content.offset == 0:
        shutil.copyfile(node.content.path, path)
        return
    with open_content(node.content) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)


def check_archives(plan: Plan, files: Mapping[str, Node], spool: Spool) -> None:
    """Read every archive that buildah will unpack, as the assembled way does.

    Raises:
        BuildError: one leads out of its destination, is broken or too large.
    """
    for number in plan.needed:
        for position, layer in plan.stages[number].layers:
            if isinstance(layer, Add) and not layer.is_remote and "$" not in layer.source:
                where = f"layers[{position}]"
                for name in matching(files, layer.source, where):
                    node = files.get(name)
                    if node and node.kind is Kind.FILE and is_archive(node):
                        for _ in unpack(node, spool, where):
                            pass


# What BuildKit calls `size`, buildah calls `tmpfs-size`.
_TMPFS_SIZE = re.compile(r"(?m)^(RUN --mount=type=tmpfs,\S*?),size=")


def dockerfile(plan: Plan, prepared: Prepared) -> str:
    """The Dockerfile of the stages that an image needs, on bases by the names that stores know them by."""
    names = {name: image_id(base) for name, base in prepared.images.items()}
    layers: list[AnyLayer] = [*plan.arguments]
    shells: dict[int, Sequence[str]] = {}
    for number in plan.needed:
        stage = plan.stages[number]
        if stage.on is None:
            base = prepared.bases[number]
            shells[number] = base.runtime.get("Shell") or DEFAULT_SHELL
            name = image_id(base) if base.reference else SCRATCH
        else:
            shells[number] = _last_shell(plan.stages[stage.on], shells[stage.on])
            name = _alias(stage.on)
        layers.append(Stage(base=name, alias=_alias(number)))
        layers += [_rewritten(plan, names, number, position, layer) for position, layer in stage.layers]
    text = render(layers, names, [shells[number] for number in plan.needed])
    return _TMPFS_SIZE.sub(r"\1,tmpfs-size=", text)


def _alias(number: int) -> str:
    """Stages that nobody needs are left out, so that the others are named and not counted."""
    return f"stage-{number}"


def _last_shell(stage: StagePlan, first: Sequence[str]) -> Sequence[str]:
    shells = [layer.words for _, layer in stage.layers if isinstance(layer, Shell)]
    return shells[-1] if shells else first


def _rewritten(plan: Plan, names: Mapping[str, str], stage: int, position: int, layer: AnyLayer) -> AnyLayer:
    """A layer with other stages by their aliases, and a fetched file in place of its URL.

    Args:
        plan: what to make.
        names: images by the names of requests, and what stores call them, for mounts.
        stage: number of the layer's stage.
        position: the layer's number in the request.
        layer: as it was ordered.
    """
    if isinstance(layer, Add) and layer.is_remote:
        return _fetched(layer, position)
    name = from_layer(layer)
    used = None if name is None else plan.stage_of(name, stage)
    if isinstance(layer, Copy) and used is not None:
        return layer.model_copy(update={"from_layer": _alias(used)})
    if isinstance(layer, Run) and layer.mount is not None:
        mount = layer.mount
        if isinstance(mount, CacheMount):
            if name is not None and used is None:
                raise InvalidRequestError(
                    f"layers[{position}].mount.from_layer: a cache takes files of a stage, and {name} is none"
                )
            mount = mount.model_copy(update={"id": _cache(mount)})
        if name is not None:
            known = names[name] if used is None else _alias(used)
            mount = mount.model_copy(update={"from_layer": known})
        return layer.model_copy(update={"mount": mount})
    return layer


def _cache(mount: CacheMount) -> str:
    """The name of a cache, which buildah makes a folder of.

    Never its target, as buildah's own: in that of `/c/x`, it would follow a link that a command has put
    into that of `/c`.
    """
    return mount.id or f"target-{hashlib.sha256(posixpath.normpath(mount.target).encode()).hexdigest()}"


def _fetched(layer: Add, position: int) -> Copy:
    return Copy(
        from_layer=FETCHED,
        source=f"/{position}/{fetched_name(layer, position)}",
        destination=layer.destination,
        user_id=layer.user_id,
        group_id=layer.group_id,
        permissions=layer.permissions or "0600",
    )


def fetched_name(layer: Add, position: int) -> str:
    """The name of a fetched file, from its URL.

    Raises:
        InvalidRequestError: the URL has none that a Dockerfile can hold.
    """
    name = unquote(urlsplit(layer.source).path).rpartition("/")[2] or "index"
    if not _PLAIN.fullmatch(name) or name in (".", ".."):
        raise InvalidRequestError(
            f"layers[{position}].source: the URL has no plain name of a file at its end"
        )
    return name
