"""Renders kVDI's templates from the module's outputs: `python render_templates.py --help`."""

import sys

from kvdi_desktops.rendering import main

sys.exit(main())
