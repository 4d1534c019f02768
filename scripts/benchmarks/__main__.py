"""The command line of `./scripts/bench`."""

import argparse
import json
import subprocess
import sys

from . import local
from .result import keep, print_results

BENCHMARKS = {"local": (local.measure, local.VERSIONS, 3)}


def main(arguments: list[str]) -> int:
    """Run one benchmark; status 0 when every goal is reached, 1 when one is not, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    measure, versions, default_runs = BENCHMARKS[options.name]
    try:
        results = measure(options.runs or default_runs)
    except subprocess.CalledProcessError as error:
        print(f"error: `{' '.join(error.cmd)}` failed with status {error.returncode}", file=sys.stderr)
        return 1
    if options.record:
        print(f"kept in {keep(options.name, results, versions)}", file=sys.stderr)
    if options.json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    else:
        print_results(results)
    return 0 if all(result.holds for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/bench",
        description="Measure side by side with peers in one run. Figures are medians.",
    )
    parser.add_argument("name", choices=sorted(BENCHMARKS), help="the benchmark")
    parser.add_argument("--json", action="store_true", help="print a list of results as JSON")
    parser.add_argument("--runs", type=int, help="how often each figure is measured")
    parser.add_argument(
        "--record", action="store_true", help="keep the results in scripts/benchmarks/records"
    )
    return parser


sys.exit(main(sys.argv[1:]))
