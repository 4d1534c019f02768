"""What can be said of a module by reading its files. Each function returns what is wrong."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from collection.interface import Interface, Parameter
from collection.modules import REPOSITORY, Module

REQUIRED_FILES = (
    "README.md",
    "app.py",
    "deployspec.yaml",
    "modulestack.yaml",
    "pyproject.toml",
    "requirements.txt",
)
REQUIRED_IN_PACKAGE = (
    "__init__.py",
    "__main__.py",
    "cli.py",
    "module_outputs.py",
    "settings.py",
    "shared/__init__.py",
    "stack.py",
)
# Design rule 11: what every module's README has, as words in a heading.
README_SECTIONS = ("description", "parameters", "outputs", "iam", "cost", "time", "destroy", "limits")
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z,]+\])?==(?P<version>[^;\s]+)")
SAMPLE = re.compile(r"```json\n(.*?)```", re.DOTALL)


def missing_files(module: Module) -> list[str]:
    """Files that every module has and this one does not."""
    wanted = [*REQUIRED_FILES, *(f"{module.package_name}/{name}" for name in REQUIRED_IN_PACKAGE)]
    missing = [name for name in wanted if not (module.folder / name).is_file()]
    return missing if list(module.folder.glob("tests/**/test_*.py")) else [*missing, "tests/test_*.py"]


# What a module may do besides, before this command of the template: the stack's own things are needed for it.
AROUND_THE_STACK = {"seedfarmer metadata": "install", "cdk destroy": "uninstall"}


def deployspec_problems(module: Module, repository: Path = REPOSITORY) -> list[str]:
    """Where the deployspec is not the template's, or may hide a failure."""
    template = _text(repository / "deployspec-template.yaml").replace("PACKAGE", module.package_name)
    text = _text(module.folder / "deployspec.yaml")
    problems = []
    if _without_additions(yaml.safe_load(text), module.package_name) != yaml.safe_load(template):
        problems.append("differs from deployspec-template.yaml in more than the package's name")
    return problems + [problem for command in commands(yaml.safe_load(text)) for problem in loose(command)]


def _without_additions(deployspec: dict[str, Any], package: str) -> dict[str, Any]:
    """The deployspec without what a module may do around its stack."""
    for action in ("deploy", "destroy"):
        build = deployspec[action]["phases"]["build"]
        listed, following = build["commands"], [*build["commands"][1:], ""]
        additions = {f"python -m {package} {name}": before for before, name in AROUND_THE_STACK.items()}
        build["commands"] = [
            command
            for command, after in zip(listed, following, strict=True)
            if not (command in additions and after.startswith(additions[command]))
        ]
    return deployspec


def commands(deployspec: dict[str, Any]) -> Iterator[str]:
    """Every command of a deployspec."""
    for action in ("deploy", "destroy"):
        for phase in deployspec.get(action, {}).get("phases", {}).values():
            yield from phase["commands"]


def loose(command: str) -> list[str]:
    """Why a command may hide a failure or install something other tomorrow."""
    problems = []
    if re.search(r"\|\|\s*(true|:|exit 0|echo)|;\s*true\b|set \+e", command):
        problems.append(f"hides a failure: {command}")
    for words in _installs(command):
        problems += [f"installs `{word}` without a version: {command}" for word in words]
    if re.search(r"\b(npx|uvx|curl|wget)\b|https?://", command):
        problems.append(f"fetches from the network by itself: {command}")
    return problems


def requirement_problems(module: Module, repository: Path = REPOSITORY) -> list[str]:
    """Requirements that are not pinned, or pinned to another version than the repository's lock."""
    lock = tomllib.loads(_text(repository / "uv.lock"))
    locked = {item["name"]: item["version"] for item in lock["package"]}
    problems = []
    for line in _requirements(module):
        pin = PIN.fullmatch(line)
        if not pin:
            problems.append(f"not pinned by ==: {line}")
        elif locked.get(pin["name"].lower()) != pin["version"]:
            problems.append(f"{line}, but uv.lock has {locked.get(pin['name'].lower(), 'no such package')}")
    return problems


def foreign_imports(module: Module, everyone: Iterable[Module]) -> list[str]:
    """Imports of another module's package."""
    others = {other.package_name for other in everyone if other.folder != module.folder}
    return [
        f"{path.relative_to(module.folder)} imports {name}"
        for path in module.folder.rglob("*.py")
        for name in _imported(_parsed(path))
        if name in others
    ]


def unused_parameters(module: Module, interface: Interface) -> list[Parameter]:
    """Parameters that a manifest can set and the module's code never reads.

    One that only a property of the settings reads counts when the property is read.
    """
    read = _attributes_read(module)
    return [item for item in interface.parameters if item.field not in read]


def readme_problems(module: Module, interface: Interface) -> list[str]:
    """Sections that the README lacks, and outputs that its sample lacks or has too many of."""
    text = _text(module.readme)
    headings = " ".join(re.findall(r"^#+ (.*)$", text, re.MULTILINE)).lower()
    problems = [
        f"no section on {word}" for word in README_SECTIONS if not re.search(rf"\b{word}\b", headings)
    ]
    samples = SAMPLE.findall(_section(text, "outputs"))
    if not any(_names(sample) == set(interface.outputs) for sample in samples):
        problems.append("the section on outputs has no JSON sample with exactly the declared outputs")
    return problems


def _attributes_read(module: Module) -> set[str]:
    own = [path for path in module.package.rglob("*.py") if module.shared not in path.parents]
    settings = [module.package / "settings.py", module.shared / "settings.py"]
    outside = [_parsed(path) for path in own if path not in settings]
    outside += [_parsed(path) for path in module.folder.glob("*.py")]
    read = {name for tree in outside for name in _attributes(tree)}
    methods = {item.name: item for path in settings for item in _methods(_parsed(path))}
    while reached := methods.keys() & read:
        for name in reached:
            read |= _attributes(methods.pop(name))
    return read


def _methods(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for item in ast.walk(tree):
        if isinstance(item, ast.ClassDef):
            yield from (member for member in item.body if isinstance(member, ast.FunctionDef))


def _attributes(tree: ast.AST) -> set[str]:
    return {item.attr for item in ast.walk(tree) if isinstance(item, ast.Attribute)}


def _imported(tree: ast.AST) -> Iterator[str]:
    for item in ast.walk(tree):
        if isinstance(item, ast.Import):
            yield from (alias.name.split(".")[0] for alias in item.names)
        elif isinstance(item, ast.ImportFrom) and item.level == 0:
            yield (item.module or "").split(".")[0]


def _installs(command: str) -> Iterator[list[str]]:
    """For each package installation in a command, the packages without a version."""
    for part in re.split(r"\|\||&&|;", command):
        words = part.split()
        if "install" in words and words[0] in ("npm", "pip", "uv"):
            named = _package_words(words[words.index("install") + 1 :])
            yield [word for word in named if not re.search(r"==\d|\w@\d", word)]


def _package_words(words: list[str]) -> list[str]:
    """The packages among an installer's arguments; a requirements file is held to pins by itself."""
    takes_value = ("-r", "--requirement")
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and before not in takes_value
    ]


def _requirements(module: Module) -> list[str]:
    lines = (line.split("#")[0].strip() for line in _text(module.folder / "requirements.txt").splitlines())
    return [line for line in lines if line]


def _section(markdown: str, word: str) -> str:
    """Text from the heading that has the word to the next heading of the same level or above."""
    match = re.search(rf"^(#+) [^\n]*\b{word}\b[^\n]*$", markdown, re.MULTILINE | re.IGNORECASE)
    if not match:
        return ""
    rest = markdown[match.end() :]
    following = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def _names(sample: str) -> set[str]:
    document = yaml.safe_load(sample)
    return set(document) if isinstance(document, dict) else set()


def _parsed(path: Path) -> ast.Module:
    return ast.parse(_text(path), filename=str(path))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
