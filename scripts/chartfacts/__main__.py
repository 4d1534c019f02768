"""Command line of `scripts/chart-facts`."""

import argparse
import sys
from pathlib import Path

import yaml

from .errors import ChartFactsError
from .facts import Facts, facts
from .rendered import images
from .source import chart_at

_HEADER = "# Facts of a chart, made by ./scripts/chart-facts; README.md beside this file explains the keys.\n"
_BY_HAND = ("also", "left_out")  # kept when a file is made again


def main() -> int:
    """Write the facts of a chart; the exit status is 1 when it cannot be read."""
    arguments = _parser().parse_args()
    try:
        text = _HEADER + yaml.safe_dump(_facts(arguments), sort_keys=False, width=120)
    except ChartFactsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.output is None:
        print(text, end="")
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return 0


def _facts(arguments: argparse.Namespace) -> Facts:
    source = {name: getattr(arguments, name) for name in ("repository", "tag", "commit", "path")}
    found: Facts = {"source": {name: value for name, value in source.items() if value}}
    found |= facts(chart_at(arguments.chart, arguments.version, arguments.app_version))
    if arguments.rendered is not None:
        if arguments.rendered_with:
            found["rendered_with"] = arguments.rendered_with
        found["images"] = images(_text(arguments.rendered))
    if arguments.output is not None and arguments.output.exists():
        found |= _by_hand(arguments.output)
    return found


def _by_hand(path: Path) -> Facts:
    """What stands in a file that is made again and cannot be read from the chart."""
    try:
        before = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise ChartFactsError(f"{path} is not YAML: {error}") from None
    if not isinstance(before, dict | None):
        raise ChartFactsError(f"{path} holds no facts of a chart: name another file with --output")
    return {key: before[key] for key in _BY_HAND if before and key in before}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChartFactsError(f"{path} cannot be read: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chart-facts",
        description="Notes what the tests of the data files have to know about a chart: its metadata, its "
        "subcharts, the values that images are made of, and the images that it renders to.",
    )
    parser.add_argument("chart", type=Path, help="the chart: an archive (.tgz) or an unpacked folder")
    parser.add_argument("--output", type=Path, help="file to write; `also` and `left_out` in it stay")
    parser.add_argument("--repository", help="where the chart's source is: URL of the git repository")
    parser.add_argument("--tag", help="its tag there")
    parser.add_argument("--commit", help="its commit there")
    parser.add_argument("--path", help="its folder there")
    parser.add_argument("--version", help="the version, if Chart.yaml gets it on release only")
    parser.add_argument("--app-version", help="likewise the appVersion")
    parser.add_argument("--rendered", type=Path, help="what `helm template` printed, to read images from")
    parser.add_argument(
        "--rendered-with",
        action="append",
        metavar="KEY=VALUE",
        help="an option of that `helm template --set`, for the record; may be given several times",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
