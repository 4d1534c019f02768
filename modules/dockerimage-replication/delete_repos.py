"""Delete the repositories of replicated images and charts that no deployment of a project uses.

python delete_repos.py PROJECT [--deployment NAME] [--dry-run] [--yes] [--json]
"""

import sys

from dockerimage_replication.cli import main

if __name__ == "__main__":
    sys.exit(main(["delete-repos", *sys.argv[1:]]))
