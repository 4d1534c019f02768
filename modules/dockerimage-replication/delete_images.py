"""Delete the replicated images that no deployment of a project uses; their repositories stay.

python delete_images.py PROJECT [--deployment NAME] [--dry-run] [--yes]
"""

import sys

from dockerimage_replication.cleanup import Cleaner
from dockerimage_replication.cleanup_script import main

if __name__ == "__main__":
    sys.exit(main(str(__doc__).splitlines()[0], Cleaner.plan_images))
