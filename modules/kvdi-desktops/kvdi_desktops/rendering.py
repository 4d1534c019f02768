"""The command line of `render_templates.py`: from the module's outputs to templates on standard output."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import catalogue
from .catalogue import Catalogue, Image
from .module_outputs import IMAGE_DIGEST_URIS
from .shared.edge import run
from .shared.errors import ParameterError
from .templates import MANAGERS_VARIABLES, Generation, Options, render

PROGRAM = "render_templates.py"
STDIN = "-"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SOCKET = re.compile(r"unix:///[^\s/]+(?:/[^\s/]+)+|tcp://[^\s:/]+:\d{1,5}")
DESCRIPTION = f"""\
Writes kVDI's templates for the desktop images that the module has published, ready for `kubectl apply -f -`.
The images are named by digest. Their URIs come from the module's output {IMAGE_DIGEST_URIS}:

  seedfarmer list moduledata -d DEPLOYMENT -g GROUP -m MODULE | python {PROGRAM} --outputs - --generation 2021
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Render what the arguments ask for; the exit status is 0 only when templates were written."""
    arguments = _parser().parse_args(argv)
    return run(lambda: _render(arguments))


def _render(arguments: argparse.Namespace) -> int:
    options = Options(
        socket=_socket(arguments.socket),
        proxy_image=arguments.proxy_image,
        pull_secrets=arguments.pull_secret,
        allow_root=arguments.allow_root,
        allow_file_transfer=arguments.allow_file_transfer,
        dind_image=arguments.dind_image,
        service_account=arguments.service_account,
        environment=_environment(arguments.env),
    )
    generation = Generation(arguments.generation)
    _check_generation(generation, arguments)
    read = _from_ssm if arguments.ssm else _from_outputs
    uris = image_uris(read(arguments.ssm or arguments.outputs), arguments.ssm or arguments.outputs)
    print(render(_chosen(uris, arguments.image), generation, options), end="")
    return 0


def image_uris(text: str, origin: str) -> dict[str, str]:
    """Name of each image -> URI by digest.

    Args:
        text: the module's outputs, of which one may hold JSON as text; or that output alone.
        origin: where the text is from, for the message.

    Raises:
        ParameterError: it is nothing of the kind.
    """
    found = _parsed(text)
    if isinstance(found, dict) and IMAGE_DIGEST_URIS in found:
        found = found[IMAGE_DIGEST_URIS]
    if isinstance(found, str):
        found = _parsed(found)
    if not isinstance(found, dict) or not all(isinstance(uri, str) for uri in found.values()):
        raise ParameterError(
            f"{origin} does not hold the output {IMAGE_DIGEST_URIS} of the module kvdi-desktops"
        )
    if not found:
        raise ParameterError(f"{origin} names no image: nothing has been published yet")
    return found


def _parsed(text: str) -> Any:  # noqa: ANN401  whatever the text holds
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _chosen(uris: dict[str, str], wanted: Sequence[str]) -> list[tuple[Image, str]]:
    """The published images that are wanted; all of them when none is named."""
    known = Catalogue.load(catalogue.FOLDER).images
    foreign = sorted(set(uris) - set(known))
    if foreign:
        raise ParameterError(
            f"`{foreign[0]}` is in the outputs, and this version of the module has no such image: "
            "use the version that published it"
        )
    missing = [name for name in wanted if name not in uris]
    if missing:
        raise ParameterError(f"there is no image `{missing[0]}` in the outputs; there are: {', '.join(uris)}")
    return [(known[name], uri) for name, uri in uris.items() if not wanted or name in wanted]


def _socket(address: str | None) -> str | None:
    if address is not None and not SOCKET.fullmatch(address):
        raise ParameterError(f"--socket must be unix:///FOLDER/NAME or tcp://HOST:PORT, not {address!r}")
    return address


def _environment(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not VARIABLE.fullmatch(name):
            raise ParameterError(f"--env must be NAME=VALUE, not {text!r}")
        if name in MANAGERS_VARIABLES:
            raise ParameterError(f"--env {name}: the manager sets it itself")
        found[name] = value
    return found


def _check_generation(generation: Generation, arguments: argparse.Namespace) -> None:
    """An option that the generation has no field for is an error: it would have no effect."""
    other = {
        Generation.DESKTOP_TEMPLATE: {
            "--allow-file-transfer": "allow_file_transfer",
            "--dind-image": "dind_image",
            "--env": "env",
        },
        Generation.TEMPLATE: {"--service-account": "service_account"},
    }[generation]
    for option, name in other.items():
        if getattr(arguments, name):
            raise ParameterError(f"{option}: templates of {generation} have no such field")


def _from_outputs(path: str) -> str:
    if path == STDIN:
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"--outputs {path} cannot be read: {error}") from None


def _from_ssm(name: str) -> str:
    import boto3

    client = boto3.client("ssm")
    try:
        return str(client.get_parameter(Name=name)["Parameter"]["Value"])
    except client.exceptions.ParameterNotFound:
        raise ParameterError(f"--ssm {name}: there is no such parameter in this account and region") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--outputs", metavar="FILE", help="JSON with the module's outputs; - for standard input"
    )
    source.add_argument(
        "--ssm", metavar="NAME", help="parameter that the module's stack made; see the README"
    )
    generation = [item.value for item in Generation]
    parser.add_argument(
        "--generation", choices=generation, required=True, help="of kVDI's manager; see the README"
    )
    parser.add_argument(
        "--image", metavar="NAME", action="append", default=[], help="only this one; repeatable"
    )
    parser.add_argument(
        "--socket", metavar="URL", help="unix:///FOLDER/NAME or tcp://HOST:PORT of the display"
    )
    parser.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="variable of the desktop, such as LANG=de_DE.UTF-8 (2021; for 2020, set ENV in an image on top)",
    )
    parser.add_argument("--proxy-image", metavar="URI", help="private copy of the manager's sidecar")
    parser.add_argument("--pull-secret", metavar="NAME", action="append", default=[], help="repeatable")
    parser.add_argument("--allow-root", action="store_true", help="the user may become root")
    parser.add_argument("--allow-file-transfer", action="store_true", help="files through the browser (2021)")
    parser.add_argument("--dind-image", metavar="URI", help="Docker-in-Docker beside the desktop (2021)")
    parser.add_argument("--service-account", metavar="NAME", help="of the desktop's pod (2020)")
    return parser
