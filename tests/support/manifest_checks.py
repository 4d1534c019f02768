"""What can be said of a deployment's modules without an account. Each function returns what is wrong."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from collection.interface import read_interface
from collection.modules import REPOSITORY, Module

from .manifests import ModuleUse

IDF_INTERFACES = REPOSITORY / "tests" / "manifests" / "idf_interfaces.yaml"
GIT_PATH = re.compile(r"git::(?P<url>https://\S+?\.git)//(?P<folder>[^?\s]+)\?ref=(?P<ref>\S+)")
# SeedFarmer folds every spelling of a parameter into one variable; kebab-case is ours.
KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Declared:
    """What a module declares: names as they stand in manifests."""

    required: frozenset[str]
    optional: frozenset[str]
    outputs: frozenset[str]


Declaration = Callable[[str], Declared]


@cache
def declared(path: str) -> Declared:
    """What the module at a manifest's `path` declares: ours by its code, a public one by its documents."""
    if not path.startswith("git::"):
        interface = read_interface(Module(REPOSITORY / path))
        required = frozenset(item.name for item in interface.parameters if item.required)
        names = frozenset(item.name for item in interface.parameters)
        return Declared(required, names - required, frozenset(interface.outputs))
    match = GIT_PATH.fullmatch(path)
    known = yaml.safe_load(IDF_INTERFACES.read_text(encoding="utf-8"))
    if not match or match["ref"] != known["release"] or match["folder"] not in known["modules"]:
        raise ValueError(f"{IDF_INTERFACES.name} says nothing of {path}")
    entry = known["modules"][match["folder"]]
    return Declared(*(frozenset(entry[name]) for name in ("required", "optional", "outputs")))


def reference_problems(uses: Sequence[ModuleUse], declaration: Declaration = declared) -> list[str]:
    """References to a module that is not there, is not deployed before, or has no such output."""
    by_name = {(use.group, use.name): use for use in uses}
    problems = []
    for use in uses:
        for parameter, reference in use.references():
            source = by_name.get((reference["group"], reference["name"]))
            wanted = f"{use}: {parameter} refers to {reference['group']}/{reference['name']}"
            if source is None:
                problems.append(f"{wanted}, which the deployment does not have")
            elif source.group_index >= use.group_index:
                problems.append(f"{wanted}, which is not deployed before it")
            elif reference["key"] not in declaration(source.path).outputs:
                problems.append(f"{wanted}, which has no output {reference['key']}")
    return problems


def parameter_problems(uses: Sequence[ModuleUse], declaration: Declaration = declared) -> list[str]:
    """Parameters that a module does not have, and required ones that are not given."""
    problems = []
    for use in uses:
        known = declaration(use.path)
        given = use.parameters.keys()
        unknown = sorted(given - known.required - known.optional)
        problems += [f"{use}: the module has no parameter {name}" for name in unknown]
        problems += [f"{use}: {name} is required and not given" for name in sorted(known.required - given)]
    return problems


def path_problems(uses: Sequence[ModuleUse], repository: Path = REPOSITORY) -> list[str]:
    """Modules and data files that are not there, and git references that SeedFarmer does not understand."""
    problems = []
    for use in uses:
        if use.path.startswith("git::"):
            if not GIT_PATH.fullmatch(use.path):
                problems.append(f"{use}: not git::https://….git//<folder>?ref=<release>: {use.path}")
        elif not (repository / use.path / "deployspec.yaml").is_file():
            problems.append(f"{use}: there is no module at {use.path}")
        missing = [name for name in use.data_files if not (repository / name).is_file()]
        problems += [f"{use}: there is no data file {name}" for name in missing]
    return problems
