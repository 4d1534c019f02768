#!/usr/bin/python3 -IS
"""The command of the desktop's own code; without `site`, which only costs time here."""

import sys

sys.path.append("/usr/lib/kvdi-desktop")
from kvdi_desktop.main import main

sys.exit(main(sys.argv[1:]))
