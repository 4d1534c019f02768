"""`python -m kvdi_desktops apply` and `python -m kvdi_desktops destroy`, as the deployspec runs them."""

import sys

from .cli import main

sys.exit(main())
