"""How commands that change things ask first."""

import argparse
from dataclasses import dataclass

from .shared.errors import ParameterError


@dataclass(frozen=True)
class Consent:
    """What the command line says about doing it.

    Attributes:
        dry_run: print, and do nothing.
        yes: do not ask.
        as_json: print JSON.

    Raises:
        ParameterError: JSON is wanted, and a question would stand in the middle of it.
    """

    dry_run: bool
    yes: bool
    as_json: bool

    def __post_init__(self) -> None:
        if self.as_json and not (self.dry_run or self.yes):
            raise ParameterError("--json asks no questions: add --dry-run or --yes")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Consent":
        """From `--dry-run`, `--yes` and `--json`."""
        return cls(arguments.dry_run, arguments.yes, arguments.json)

    def given(self) -> bool:
        """Whether to do it; asks unless the command line has said yes."""
        if self.yes:
            return True
        try:
            return input("Do this? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:  # no terminal: nobody has said yes
            return False
