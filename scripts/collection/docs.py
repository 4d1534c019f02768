"""Fills the generated tables of the modules' READMEs (`scripts/generate-docs`)."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from . import errors
from .chart_values import chart_values
from .desktops import desktop_rows, has_desktops
from .errors import CollectionError
from .interface import Interface, Parameter, read_interface
from .modules import REPOSITORY, Module, modules


def filled(readme: str, interface: Interface) -> str:
    """The README's text with both tables as the code has them.

    Raises:
        CollectionError: a pair of markers is missing.
    """
    text = _between(readme, "parameters", parameter_table(interface))
    return _between(text, "outputs", output_table(interface))


def parameter_table(interface: Interface) -> str:
    """Markdown table of the parameters, the required ones first."""
    rows = [
        (f"`{item.name}`", _default(item), item.description)
        for item in sorted(interface.parameters, key=lambda item: not item.required)
    ]
    return _table(("Parameter", "Default", "Description"), rows)


def output_table(interface: Interface) -> str:
    """Markdown table of the outputs."""
    rows = [(f"`{name}`", description) for name, description in interface.outputs.items()]
    return _table(("Output", "Description"), rows)


def values_table(chart: Path) -> str:
    """Markdown table of a chart's values, from their schema's descriptions and their defaults."""
    rows = [(f"`{value.name}`", f"`{value.default}`", value.description) for value in chart_values(chart)]
    return _table(("Value", "Default", "Description"), rows)


def image_table(images: Path) -> str:
    """Markdown table of the images that a catalogue describes."""
    return _table(("Images", "What it is", "Stands on", "State"), desktop_rows(images))


def stale(repository: Path = REPOSITORY) -> list[Path]:
    """READMEs whose tables are not what the code says, relative to the repository."""
    return [
        path.relative_to(repository)
        for module in modules(repository)
        for path, text in _generated(module).items()
        if text != path.read_text(encoding="utf-8")
    ]


def generate(module: Module) -> None:
    """Write the tables of one module, and of its chart when it has one."""
    for path, text in _generated(module).items():
        path.write_text(text, encoding="utf-8")


def main() -> int:
    """Command line of `scripts/generate-docs`."""
    parser = argparse.ArgumentParser(
        prog="generate-docs",
        description="Fills the parameter and output tables of every module's README from its code.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; name the stale READMEs")
    arguments = parser.parse_args()
    paths = stale()
    if arguments.check:
        for path in paths:
            print(f"not what the code says, run ./scripts/generate-docs: {path}", file=sys.stderr)
        return 1 if paths else 0
    for module in modules():
        generate(module)
    print("\n".join(f"written: {path}" for path in paths) or "all tables are what the code says")
    return 0


def _generated(module: Module) -> dict[Path, str]:
    """README -> its text as the code has it."""
    text = _read(module.readme)
    interface = read_interface(module)
    made = {module.readme: _named(module.readme, lambda: filled(text, interface))}
    images = module.folder / "images"
    if has_desktops(images):
        with_tables = made[module.readme]
        made[module.readme] = _named(
            module.readme, lambda: _between(with_tables, "images", image_table(images))
        )
    folders = [module.folder / "chart", *sorted(module.folder.glob("helm/*"))]
    return made | dict(_of_chart(folder) for folder in folders if folder.is_dir())


def _of_chart(chart: Path) -> tuple[Path, str]:
    readme = chart / "README.md"
    text = _read(readme)
    return readme, _named(readme, lambda: _between(text, "values", values_table(chart)))


def _named(path: Path, make: Callable[[], str]) -> str:
    try:
        return make()
    except CollectionError as error:
        raise CollectionError(f"{_short(path)}: {error}") from None


def _read(path: Path) -> str:
    if not path.exists():
        raise CollectionError(f"{_short(path)} does not exist")
    return path.read_text(encoding="utf-8")


def _short(path: Path) -> Path:
    return path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path


def _between(text: str, name: str, table: str) -> str:
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    if not pattern.search(text):
        raise CollectionError(f"there is no pair of markers {opening} and {closing}")
    return pattern.sub(lambda _: f"{opening}\n{table}\n{closing}", text)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return f"`{parameter.default}`" if parameter.default and parameter.default != "null" else "none"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_row(cells) for cells in [header, ("---",) * len(header), *rows])


def _row(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    sys.exit(errors.run(main))
