"""`python -m image_builder apply` and `python -m image_builder destroy`, as the deployspec runs them."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
