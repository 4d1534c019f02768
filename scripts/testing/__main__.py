"""The command line of `./scripts/test`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from collection.modules import REPOSITORY
from localcloud import packages
from localcloud.engine import clean_up_engine, client_folder, ensure_engine
from localcloud.errors import LocalCloudError
from localcloud.layout import Layout
from localcloud.progress import Progress
from localcloud.services import Services

from . import kubernetes
from .checks import run_checks

ENGINE_PROGRAMS = ("podman", "unshare", "setpriv", "pactl", "parec", "xclip", "buildah", "newuidmap")
FAST_PROGRAMS = (
    "git",
    "shellcheck",
    "docker-registry",
    "mmdebstrap",
    "openssl",
    "skopeo",
    "gpg",
    "gpg-agent",
    "gpgconf",
    "etcd",
    "xauth",
    "busybox",
    "pg_ctlcluster",
    "mariadbd",
    "my_print_defaults",
    "chromium",
)
CACHE = Path(os.environ.get("AIRGAP_CACHE_DIR") or Path.home() / ".cache" / "airgap-modules")


def main(arguments: list[str]) -> int:
    """Set up, check, test; return the status of the first part that failed."""
    options, pytest_arguments = _parser().parse_known_args(arguments)
    try:
        return _run(options, pytest_arguments)
    except LocalCloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status


def _run(options: argparse.Namespace, pytest_arguments: list[str]) -> int:
    progress = Progress()
    needed = [*FAST_PROGRAMS, *(() if options.fast else ENGINE_PROGRAMS), *kubernetes.missing(CACHE)]
    packages.ensure_programs(needed, progress)
    python_bin = Path(sys.executable).parent
    # Where the tests keep the logs of what they ran; the folder is the same for every run.
    logs = REPOSITORY / ".local" / "test-logs"
    environment = {**os.environ, "AIRGAP_TEST_LOGS": str(logs)}
    if options.long:
        environment["AIRGAP_LONG"] = "1"
    failed = [] if options.no_checks else run_checks(python_bin, environment)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    command = [str(python_bin / "pytest"), *_selection(options), *pytest_arguments]
    if options.fast:
        return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode
    return _with_engine(command, environment, progress)


def _with_engine(command: list[str], environment: dict[str, str], progress: Progress) -> int:
    """Run the tests with one docker daemon for all of them, and end it when it was started for them."""
    state = REPOSITORY / ".local" / "test-engine"
    layout = Layout.from_environment({"LOCAL_ENGINE": "docker", **os.environ, "LOCAL_STATE_DIR": str(state)})
    services = Services(layout.run, layout.logs)
    engine = ensure_engine(layout, services, progress)
    try:
        path = f"{client_folder(layout)}:{environment['PATH']}"
        variables = {**environment, **engine.environment, "PATH": path}
        return subprocess.run(command, cwd=REPOSITORY, env=variables, check=False).returncode
    finally:
        services.stop_all()
        clean_up_engine(layout)


def _selection(options: argparse.Namespace) -> list[str]:
    if options.fast:
        return ["-m", "not engine"]
    return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/test",
        description="Static checks and every test. Further arguments go to pytest.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--fast", action="store_true", help="only what needs no container engine")
    size.add_argument("--long", action="store_true", help="campaigns with their full counts")
    parser.add_argument(
        "--no-checks", action="store_true", help="tests only, without ruff, mypy and shellcheck"
    )
    return parser


sys.exit(main(sys.argv[1:]))
