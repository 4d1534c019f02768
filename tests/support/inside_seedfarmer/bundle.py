"""Bundles `module` and the data files as SeedFarmer does for a build; answers with the bundle's folder.

Runs in SeedFarmer's environment, in a project's folder.
"""

import json
import sys
from pathlib import Path

from seedfarmer.mgmt.bundle import generate_bundle  # type: ignore[import-not-found]


def main() -> None:
    """Read the request, bundle, answer."""
    request = json.load(sys.stdin)
    archive = generate_bundle(
        dirs=[(request["module"], "module")],
        files=[(source, f"module/{target}") for target, source in request["files"].items()],
        bundle_id="test",
    )
    json.dump(str(Path(archive).with_suffix("")), sys.stdout)


if __name__ == "__main__":
    main()
