"""Delete the repositories of replicated images and charts that no deployment of a project uses.

python delete_repos.py PROJECT [--deployment NAME] [--dry-run] [--yes]
"""

import sys

from dockerimage_replication.cleanup import Cleaner
from dockerimage_replication.cleanup_script import main

if __name__ == "__main__":
    sys.exit(main(str(__doc__).splitlines()[0], Cleaner.plan_repositories))
