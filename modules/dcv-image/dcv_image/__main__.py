"""`python -m dcv_image apply` and `python -m dcv_image destroy`, as the deployspec runs them."""

import sys

from .cli import main

sys.exit(main())
