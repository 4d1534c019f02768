"""`./scripts/local`: the command line of the local cloud."""

import argparse
import signal
import sys

from botocore.exceptions import BotoCoreError, ClientError

from . import desktop_command, outputs
from .cloud import Cloud
from .errors import LocalCloudError
from .layout import Layout
from .lock import exclusive
from .progress import Progress

DEFAULT_MANIFEST = "manifests/local/deployment.yaml"
INTERRUPTED = 130
ENVIRONMENT = """\
environment:
  LOCAL_PROJECT_DIR the SeedFarmer project to work on (default: this checkout)
  LOCAL_STATE_DIR   the one folder with everything a run makes (default: .local in the checkout)
  LOCAL_PORT_BASE   first of four ports on 127.0.0.1: AWS, source registry, charts, image-builder
                    (default: 14566)
  LOCAL_ENGINE      auto, docker or podman (default: auto)
  LOCAL_ACCOUNT_ID  the AWS account that the emulator plays (default: 123456789012)
  LOCAL_IAM_WAIT    no: leave out the 12 s that SeedFarmer waits for IAM in every apply (default: yes)
  AIRGAP_CACHE_DIR  downloads and built images, made again when absent (default: ~/.cache/airgap-modules)
"""


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status (0 done, 1 failed, 2 wrong usage, 130 interrupted)."""
    # Everything behind `docker` is the engine's, options included.
    engine_arguments = arguments[1:] if arguments[:1] == ["docker"] else []
    options = _parser().parse_args(arguments[:1] if engine_arguments else arguments)
    options.arguments = engine_arguments
    # SIGINT too: a shell starts what runs in the background with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(options)
    except LocalCloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except (OSError, BotoCoreError, ClientError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again, it continues from what is there", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    cloud = Cloud(Layout.from_environment(), Progress())
    if options.command == "apply":
        return _apply(cloud, options)
    if options.command == "outputs":
        return _show(cloud.outputs(options.manifest), options.json)
    if options.command == "status":
        return _status(cloud)
    if options.command == "destroy":
        with exclusive(cloud.layout):
            cloud.destroy(options.manifest, options.verbose)
        cloud.progress.say("destroyed")
        return 0
    if options.command == "desktop":
        return desktop_command.run(options, cloud.layout, cloud.services, cloud.progress)
    if options.command == "down":
        with exclusive(cloud.layout):
            stopped = cloud.down()
        cloud.progress.say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
        return 0
    return cloud.docker(options.arguments)


def _apply(cloud: Cloud, options: argparse.Namespace) -> int:
    with exclusive(cloud.layout):
        found = cloud.apply(options.manifest, options.module_roles, options.verbose)
    if options.timings:
        _timings(cloud.progress)
    outputs.print_table(found)
    cloud.progress.say("done")
    return 0


def _show(found: outputs.Outputs, as_json: bool) -> int:
    if as_json:
        outputs.print_json(found)
    else:
        outputs.print_table(found)
    return 0


def _status(cloud: Cloud) -> int:
    running = cloud.status()
    for name, listens in running:
        print(f"{name:32} {listens}")
    if not running:
        print("nothing runs")
    return 0


def _timings(progress: Progress) -> None:
    print("where the time went (seconds):")
    for name, seconds in progress.durations:
        print(f"  {seconds:7.2f}  {name}")
    print(f"  {progress.elapsed:7.2f}  in all")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/local",
        description="The modules on one machine: the real seedfarmer and cdk, an AWS emulator on loopback.",
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    apply = commands.add_parser("apply", help="set up what is missing and deploy a manifest")
    _add_manifest(apply)
    apply.add_argument("--timings", action="store_true", help="print where the time went")
    apply.add_argument(
        "--module-roles",
        action="store_true",
        help="also deploy each module's role stack (modulestack.yaml); SeedFarmer waits 12 s for each",
    )
    _add_verbose(apply)
    show = commands.add_parser("outputs", help="the outputs of the deployed modules")
    _add_manifest(show)
    show.add_argument("--json", action="store_true", help="one JSON object: every output, and `modules`")
    commands.add_parser("status", help="what runs, and where it answers")
    destroy = commands.add_parser("destroy", help="destroy what a manifest deployed")
    _add_manifest(destroy)
    _add_verbose(destroy)
    commands.add_parser("down", help="end every process and remove every mount that the local cloud made")
    desktop_command.add_parser(commands)
    commands.add_parser("docker", help="the container engine of the local cloud: docker pull, run …")
    return parser


def _add_manifest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        nargs="?",
        default=DEFAULT_MANIFEST,
        help=f"deployment manifest (default: {DEFAULT_MANIFEST})",
    )


def _add_verbose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="show everything that seedfarmer prints")
