"""Puts what runs inside the images on the import path."""

import sys
from pathlib import Path

PARTS = Path(__file__).resolve().parents[2] / "images" / "parts"
if str(PARTS) not in sys.path:
    sys.path.insert(0, str(PARTS))
