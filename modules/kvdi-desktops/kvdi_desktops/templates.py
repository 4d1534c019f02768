"""kVDI's templates: what its manager has to know to launch an image.

Two generations of the manager are in use, with different resources. Field names, defaults and API groups
are those of their custom resource definitions: `kvdi.io/v1alpha1` of July 2020 (kVDI), and
`desktops.kvdi.io/v1` of 2021 (kVDI 0.3 and its successor webmesh-vdi, which kept the group).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml

from .catalogue import Image

# Where the sidecar looks for PulseAudio: the manager's own user id (kVDI, apis/meta/v1, DefaultUser).
PULSE_SERVER = "unix:///run/user/9000/pulse/native"


class Generation(StrEnum):
    """Of kVDI's manager, by the year of its resources."""

    DESKTOP_TEMPLATE = "2020"
    TEMPLATE = "2021"


# The managers' own names (kVDI, apis/meta/v1): a template cannot choose their values.
SOCKET_VARIABLE = "DISPLAY_SOCK_ADDR"
MANAGERS_VARIABLES = ("USER", "UID", "HOME", "ENABLE_ROOT", SOCKET_VARIABLE)
DEFAULT_SOCKETS: Mapping[Generation, str] = {
    Generation.DESKTOP_TEMPLATE: "unix:///var/run/kvdi/vnc.sock",
    Generation.TEMPLATE: "unix:///var/run/kvdi/display.sock",
}


@dataclass(frozen=True)
class Options:
    """What a cluster decides, whatever the image.

    Attributes:
        socket: `unix:///PATH` or `tcp://HOST:PORT` of the display; None for the generation's default.
        proxy_image: the manager's sidecar; None for the manager's own choice, a public name.
        pull_secrets: names of secrets for pulling.
        allow_root: whether a desktop's user may become root.
        allow_file_transfer: whether files go through the browser (2021 only).
        dind_image: Docker-in-Docker beside the desktop (2021 only).
        service_account: of the desktop's pod (2020 only).
        environment: variables of the desktop (2021 only).
    """

    socket: str | None = None
    proxy_image: str | None = None
    pull_secrets: Sequence[str] = ()
    allow_root: bool = False
    allow_file_transfer: bool = False
    dind_image: str | None = None
    service_account: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def template_variables(socket: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a template of 2021 says of the desktop's environment.

    The manager tells the desktop a socket's path, and says nothing of a port (kVDI, GetDesktopEnvVars).
    """
    own = {} if socket.startswith("unix:") else {SOCKET_VARIABLE: socket}
    return {**own, **environment}


def render(images: Sequence[tuple[Image, str]], generation: Generation, options: Options) -> str:
    """One YAML stream for `kubectl apply`, with a template for each image.

    Args:
        images: each with its URI.
        generation: of the manager.
        options: what the cluster decides.
    """
    make = _desktop_template if generation is Generation.DESKTOP_TEMPLATE else _template
    documents = [make(image, uri, options) for image, uri in images]
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)


def _desktop_template(image: Image, uri: str, options: Options) -> dict[str, Any]:
    config = {
        "init": image.family,
        "socketAddr": options.socket or DEFAULT_SOCKETS[Generation.DESKTOP_TEMPLATE],
        "capabilities": list(image.capabilities),
        "enableSound": image.description.sound,
        "allowRoot": options.allow_root,
        "proxyImage": options.proxy_image,
        "serviceAccount": options.service_account,
    }
    spec = {
        "image": uri,
        "imagePullPolicy": "IfNotPresent",
        "imagePullSecrets": _named(options.pull_secrets),
        "config": config,
        "tags": _tags(image),
    }
    return _resource("kvdi.io/v1alpha1", "DesktopTemplate", image, spec)


def _template(image: Image, uri: str, options: Options) -> dict[str, Any]:
    socket = options.socket or DEFAULT_SOCKETS[Generation.TEMPLATE]
    variables = template_variables(socket, options.environment)
    spec = {
        "imagePullSecrets": _named(options.pull_secrets),
        "desktop": {
            "image": uri,
            "imagePullPolicy": "IfNotPresent",
            "init": image.family,
            "capabilities": list(image.capabilities),
            "allowRoot": options.allow_root,
            "env": [{"name": name, "value": value} for name, value in variables.items()],
        },
        "proxy": {
            "image": options.proxy_image,
            "socketAddr": socket,
            "pulseServer": PULSE_SERVER if image.description.sound else None,
            "allowFileTransfer": options.allow_file_transfer,
        },
        "dind": {"image": options.dind_image} if options.dind_image else None,
        "tags": _tags(image),
    }
    return _resource("desktops.kvdi.io/v1", "Template", image, spec)


def _resource(version: str, kind: str, image: Image, spec: dict[str, Any]) -> dict[str, Any]:
    """Cluster-wide in both generations, so without a namespace."""
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": image.name},
        "spec": _without_nothing(spec),
    }


def _tags(image: Image) -> dict[str, str]:
    """Shown in the manager's list of templates."""
    return {"os": image.system, "init": image.family, "desktop": image.description.title}


def _named(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def _without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has no value: the manager's own default holds then."""
    nested = {key: _without_nothing(item) if isinstance(item, dict) else item for key, item in value.items()}
    return {key: item for key, item in nested.items() if item not in (None, [])}
