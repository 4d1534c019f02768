"""A request's layers as a Dockerfile, and nothing but what they say.

Three forms hold every text: JSON, whose escapes keep any character; double quotes, in which `"` and
`\\` are escaped and variables work; and plain words, whose grammar leaves nothing to escape.
A command is written as JSON with its shell in front: the shell reads exactly what the request says,
and neither a `#`, a `<<EOF` nor a backslash at its end means anything to the builder.
"""

import json
from collections.abc import Mapping, Sequence

from .models import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from .mounts import BindMount, CacheMount, TmpfsMount

DEFAULT_SHELL = ("/bin/sh", "-c")

AnyLayer = Instruction | Stage | Maintainer | OnBuild


def render(
    layers: Sequence[AnyLayer],
    bases: Mapping[str, str] | None = None,
    shells: Sequence[Sequence[str]] = (),
) -> str:
    """The Dockerfile.

    Args:
        layers: layers of the request.
        bases: by what a stage or `from_layer` names, the reference to use in its place.
        shells: for each stage, the shell of its base, where that is not `/bin/sh -c`.
    """
    lines, stages, shell = [], 0, list(DEFAULT_SHELL)
    for layer in layers:
        if isinstance(layer, Stage):
            shell = list(shells[stages]) if stages < len(shells) else list(DEFAULT_SHELL)
            stages += 1
        elif isinstance(layer, Shell):
            shell = layer.words
        lines.append(instruction(layer, bases or {}, shell))
    return "".join(f"{line}\n" for line in lines)


def instruction(layer: AnyLayer, bases: Mapping[str, str], shell: Sequence[str]) -> str:
    """One layer as one line."""
    match layer:
        case Stage():
            platform = f"--platform={layer.platform} " if layer.platform else ""
            alias = f" AS {layer.alias}" if layer.alias else ""
            return f"FROM {platform}{bases.get(layer.reference, layer.reference)}{alias}"
        case Copy() | Add():
            return _files(layer, bases)
        case Run():
            return f"RUN {_run_options(layer)}{_json([*shell, layer.command])}"
        case Arg():
            return f"ARG {layer.name}" + ("" if layer.default is None else f"={_quoted(layer.default)}")
        case Env():
            pairs = zip(layer.keys, layer.values, strict=True)
            return "ENV " + " ".join(f"{key}={_quoted(value)}" for key, value in pairs)
        case Label():
            return f"LABEL {_quoted(layer.name)}={_quoted(layer.value)}"
        case Cmd():
            return f"CMD {_json(layer.command)}"
        case Entrypoint():
            return f"ENTRYPOINT {_json(layer.command)}"
        case Shell():
            return f"SHELL {_json(layer.words)}"
        case Volume():
            return f"VOLUME {_json(layer.paths)}"
        case Healthcheck():
            return f"HEALTHCHECK {_times(layer)}CMD {_json(layer.command.command)}"
        case OnBuild():
            return f"ONBUILD {instruction(layer.instruction, bases, shell)}"
        case Expose():
            return f"EXPOSE {' '.join(map(str, layer.ports))}"
        case Maintainer():
            return f"MAINTAINER {layer.author}"
        case StopSignal():
            return f"STOPSIGNAL {layer.signal}"
        case User():
            return f"USER {layer.account}"
        case Workdir():
            return f"WORKDIR {layer.path}"


def without_query(layer: AnyLayer) -> AnyLayer:
    """A layer without the query of the URL that it fetches, where signed URLs have their secrets."""
    if isinstance(layer, Add) and layer.is_remote:
        return layer.model_copy(update={"source": layer.source.partition("?")[0]})
    return layer


def _files(layer: Copy | Add, bases: Mapping[str, str]) -> str:
    options = []
    if isinstance(layer, Copy) and layer.from_layer:
        options.append(f"--from={bases.get(layer.from_layer, layer.from_layer)}")
    if layer.owner:
        options.append(f"--chown={layer.owner}")
    if layer.permissions:
        options.append(f"--chmod={layer.permissions}")
    name = layer.layer_type.upper()
    return " ".join([name, *options, _json([layer.source, layer.destination])])


def _run_options(layer: Run) -> str:
    mount = f"--mount={_mount(layer.mount)} " if layer.mount else ""
    network = f"--network={layer.network} " if layer.network else ""
    return mount + network


def _mount(mount: BindMount | CacheMount | TmpfsMount) -> str:
    words: dict[str, object] = {"type": mount.mount_type, "target": mount.target}
    if isinstance(mount, TmpfsMount):
        words["size"] = f"{mount.size}m"
    else:
        words |= {"source": mount.source, "from": mount.from_layer}
    if isinstance(mount, CacheMount):
        words |= {"id": mount.id, "sharing": mount.sharing, "mode": mount.mode}
        words |= {"uid": mount.user_id, "gid": mount.group_id}
    parts = [f"{key}={value}" for key, value in words.items() if value is not None]
    if not isinstance(mount, TmpfsMount):
        parts += ["ro"] if mount.enable_readonly else ["rw"] if mount.enable_readwrite else []
    return ",".join(parts)


def _times(layer: Healthcheck) -> str:
    times = {"interval": layer.interval, "timeout": layer.timeout, "start-period": layer.start_period}
    # No start period is the default; BuildKit up to 0.8 refuses to read it.
    words = [
        f"--{name}={number}ms" for name, value in times.items() if value and (number := milliseconds(value))
    ]
    if layer.retries is not None:
        words.append(f"--retries={layer.retries}")
    return "".join(f"{word} " for word in words)


def milliseconds(seconds: float) -> int:
    """A duration as a Dockerfile and an image's configuration can both hold it."""
    return round(seconds * 1000)


def _json(words: Sequence[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)


def _quoted(text: str) -> str:
    r"""In double quotes: `"` and `\` are escaped, but `\$` stays the dollar sign that it means."""
    kept = text.replace("\\", "\\\\").replace("\\\\$", "\\$").replace('"', '\\"')
    return f'"{kept}"'
