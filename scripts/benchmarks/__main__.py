"""The command line of `./scripts/bench`."""

import argparse
import json
import os
import signal
import subprocess
import sys

from localcloud.errors import LocalCloudError

from . import desktops, local
from .builder import measure as builder
from .builder import scale
from .replication import measure as replication
from .result import Report, keep, print_report

DEFAULT_RUNS = {"local": 3, "replication": 5, "desktops": 50, "builder": 30, "builder-scale": scale.MEASURED}


def main(arguments: list[str]) -> int:
    """Run one benchmark; status 0 when every goal is reached, 1 when one is not, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    # A benchmark that is ended cleans up as one that is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = _measure(options)
    except subprocess.CalledProcessError as error:
        print(f"error: `{' '.join(error.cmd)}` failed with status {error.returncode}", file=sys.stderr)
        return 1
    except LocalCloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been ended", file=sys.stderr)
        return 130
    if options.record:
        print(f"kept in {keep(options.name, report)}", file=sys.stderr)
    if options.json:
        versions = dict(report.versions)
        entries = [{**result.as_json(), "versions": versions} for result in report.results]
        print(json.dumps(entries, indent=2))
    else:
        print_report(report)
    return 0 if all(result.holds for result in report.results) else 1


def _measure(options: argparse.Namespace) -> Report:
    runs = options.runs or DEFAULT_RUNS[options.name]
    if options.name == "local":
        return local.measure(runs)
    if options.name == "desktops":
        return desktops.measure(runs)
    if options.name == "builder-scale":
        return scale.measure(runs)
    if options.name == "builder":
        return builder.measure(builder.Extent(runs, options.only or builder.PARTS))
    full = options.full or bool(os.environ.get("AIRGAP_LONG"))
    return replication.measure(replication.Extent(runs, full, options.only or replication.PARTS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/bench",
        description="Measure side by side with peers in one run. Figures are medians.",
    )
    commands = parser.add_subparsers(dest="name", required=True)
    _common(commands.add_parser("local", help="the local cloud: an apply, and one with nothing to do"))
    _common(commands.add_parser("desktops", help="kvdi-desktops: first picture, stop, size of the images"))
    beside = commands.add_parser("replication", help="dockerimage-replication beside skopeo and crane")
    _common(beside)
    beside.add_argument("--full", action="store_true", help="200 runs with faults, not 10 (as AIRGAP_LONG)")
    beside.add_argument(
        "--only", action="append", choices=replication.PARTS, help="one part; can be given several times"
    )
    _common(commands.add_parser("builder-scale", help="image-builder: what 10,000 builds an hour need"))
    ordered = commands.add_parser("builder", help="image-builder beside buildah and docker")
    _common(ordered)
    ordered.add_argument(
        "--only", action="append", choices=builder.PARTS, help="one part; can be given several times"
    )
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a list of results as JSON")
    parser.add_argument("--runs", type=_positive, help="how often each figure is measured")
    parser.add_argument(
        "--record", action="store_true", help="keep the results in scripts/benchmarks/records"
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a number from 1, not {text!r}")
    return int(text)


sys.exit(main(sys.argv[1:]))
