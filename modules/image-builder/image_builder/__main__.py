"""`python -m image_builder`: the module's own work."""

import sys

from .cli import main
from .shared import edge

if __name__ == "__main__":
    sys.exit(edge.run(main))
