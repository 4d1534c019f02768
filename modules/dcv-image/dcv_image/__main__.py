"""`python -m dcv_image deploy` and `python -m dcv_image destroy`, as the deployspec runs them."""

import sys

from .cli import main

sys.exit(main())
