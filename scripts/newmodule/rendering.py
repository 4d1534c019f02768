"""From the template's files to a module's."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from collection import pins
from collection.errors import CollectionError
from collection.modules import Module, shared_original

TEMPLATE = Path(__file__).with_name("template")
SUFFIX = ".in"  # keeps tools for Python files from reading the template's as Python
PLACEHOLDER = re.compile(r"@([A-Z]+)@")
DEPLOYSPEC_HEADER = (
    "# Made from deployspec-template.yaml: a module differs from it only in the package's name.\n"
)


def render(module: Module, repository: Path) -> None:
    """Write a module's files into its folder.

    Raises:
        CollectionError: the template names something that does not exist.
    """
    values = _values(module)
    for source in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        relative = _substituted(str(source.relative_to(TEMPLATE)), values).removesuffix(SUFFIX)
        _write(module.folder / relative, _substituted(source.read_text(encoding="utf-8"), values))
    _write(module.folder / "requirements.txt", pins.requirements(module, repository))
    _write(module.folder / "deployspec.yaml", _deployspec(module, repository))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(shared_original("shared", repository), module.shared, ignore=ignored)
    _tidy(module)


def _values(module: Module) -> Mapping[str, str]:
    words = [word.capitalize() for word in module.name.split("-")]
    return {"NAME": module.name, "PACKAGE": module.package_name, "CLASS": "".join(words)}


def _substituted(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise CollectionError(f"the template asks for {match[0]}, which has no value")
        return values[match[1]]

    return PLACEHOLDER.sub(value, text)


def _deployspec(module: Module, repository: Path) -> str:
    template = (repository / "deployspec-template.yaml").read_text(encoding="utf-8")
    body = template[template.index("publishGenericEnvVariables") :]
    return DEPLOYSPEC_HEADER + body.replace("PACKAGE", module.package_name)


def _tidy(module: Module) -> None:
    """Sort imports and wrap lines: how depends on the length and the letters of the name."""
    for command in (["check", "--fix-only", "--select", "I"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache", str(module.folder)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CollectionError(f"the new module's code cannot be formatted: {done.stderr.strip()}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
