"""Puts the module and what its tests share on the import path."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
MODULE = TESTS.parent
REPOSITORY = MODULE.parent.parent
for folder in (REPOSITORY / "tests", REPOSITORY / "scripts", TESTS, MODULE):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
