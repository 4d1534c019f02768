"""The list of packages as a software bill of materials (SPDX 2.3, JSON), which depends on nothing else.

sbom.py PACKAGES_FILE SYSTEM VERSION
"""

import hashlib
import json
import re
import sys
from pathlib import Path

PURL_TYPES = {"arch": "alpm"}  # every other system here has Debian's package format


def document(listed: str, system: str, version: str) -> dict[str, object]:
    """The document for lines of name, version and architecture, separated by tabs."""
    content = hashlib.sha256(listed.encode()).hexdigest()
    packages = [_package(*line.split("\t"), system, version) for line in listed.splitlines()]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "kvdi-desktop",
        "documentNamespace": f"https://spdx.org/spdxdocs/kvdi-desktop-{content}",
        # A fixed time: two builds of the same packages have the same document.
        "creationInfo": {"created": "2000-01-01T00:00:00Z", "creators": ["Tool: airgap-modules"]},
        "documentDescribes": [package["SPDXID"] for package in packages],
        "packages": packages,
    }


def _package(name: str, version: str, architecture: str, system: str, release: str) -> dict[str, object]:
    purl = f"pkg:{PURL_TYPES.get(system, 'deb')}/{system}/{name}@{version}"
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{name}-{architecture}"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"{purl}?arch={architecture}&distro={system}-{release}".replace(
                    "+", "%2B"
                ),
            }
        ],
    }


if __name__ == "__main__":
    json.dump(document(Path(sys.argv[1]).read_text("utf-8"), *sys.argv[2:]), sys.stdout, indent=1)
    sys.stdout.write("\n")
