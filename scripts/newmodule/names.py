"""Which names a new module can have."""

import importlib.util
import keyword
import re
from pathlib import Path

from collection.errors import UsageError
from collection.modules import Module

# A manifest usually names a module as its folder is named, and its stack is called
# {project}-{deployment}-{group}-{module}: 128 characters at most (CloudFormation user guide, Stacks).
MAX_LENGTH = 40
KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Names of files beside the package, and of folders that SeedFarmer leaves out of a bundle.
TAKEN_PACKAGES = frozenset({"app", "build", "dist", "node_modules", "tests"})


def checked(name: str, repository: Path) -> Module:
    """The module that `name` will be.

    Raises:
        UsageError: the name cannot be used; says why.
    """
    module = Module(repository / "modules" / name)
    if not KEBAB_CASE.fullmatch(name):
        raise UsageError(
            f"`{name}` is not kebab-case: small letters and digits, in words joined by single hyphens, "
            "beginning with a letter, as in `dcv-image`"
        )
    if len(name) > MAX_LENGTH:
        raise UsageError(f"`{name}` has {len(name)} characters, and a module's name at most {MAX_LENGTH}")
    if module.folder.exists():
        raise UsageError(f"modules/{name} exists already")
    if _is_taken(module.package_name):
        raise UsageError(
            f"the package of a module `{name}` would be `{module.package_name}`, which is the name of "
            "something that Python code can already import or cannot import at all"
        )
    return module


def _is_taken(package: str) -> bool:
    reserved = package in TAKEN_PACKAGES or keyword.iskeyword(package)
    return reserved or importlib.util.find_spec(package) is not None
