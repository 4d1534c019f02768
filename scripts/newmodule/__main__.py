"""Command line of `scripts/new-module`."""

import argparse
import sys
import tempfile
from pathlib import Path

from collection import docs, errors
from collection.errors import UsageError
from collection.modules import REPOSITORY, Module

from .names import checked
from .rendering import render

NEXT_STEPS = """\
made modules/{name}: it deploys as it is.

Test it:
  uv run pytest modules/{name}

Add it to a manifest, in the file of one of the deployment's groups (a file holds several modules,
each after a line `---`):
  name: {name}
  path: modules/{name}
  parameters:
    - name: greeting
      value: hello

From another project:
  path: git::https://HOST/ORGANISATION/REPOSITORY.git//modules/{name}?ref=TAG

Then replace greeting and image by what the module is for, and run ./scripts/generate-docs."""


def main() -> int:
    """Make the module, whole or not at all."""
    parser = argparse.ArgumentParser(
        prog="new-module",
        description="Makes modules/NAME: a module that deploys, tests and documents itself.",
    )
    parser.add_argument("name", metavar="NAME", help="name of the module in kebab-case, as in dcv-image")
    module = checked(parser.parse_args().name, REPOSITORY)
    _make(module, REPOSITORY)
    print(NEXT_STEPS.format(name=module.name))
    return 0


def _make(module: Module, repository: Path) -> None:
    """Build the module beside its place, then rename: what fails half-way leaves nothing."""
    with tempfile.TemporaryDirectory(prefix=".new-module-", dir=repository / "modules") as temporary:
        draft = Module(Path(temporary) / module.name)
        render(draft, repository)
        docs.generate(draft)
        try:
            draft.folder.rename(module.folder)
        except OSError as error:
            raise UsageError(f"modules/{module.name} cannot be made: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(errors.run(main))
