"""Entry point of `python -m dockerimage_replication`."""

import sys

from .cli import main

sys.exit(main())
