"""Delete the replicated images that no deployment of a project uses; their repositories stay.

python delete_images.py PROJECT [--deployment NAME] [--dry-run] [--yes] [--json]
"""

import sys

from dockerimage_replication.cli import main

if __name__ == "__main__":
    sys.exit(main(["delete-images", *sys.argv[1:]]))
