"""What an image says of its packages, beside what is installed in it."""

import json

from desktops.pod import Pod

_RECORDS = "/usr/share/kvdi-desktops"
_INSTALLED = (
    "dpkg-query --show --showformat='${db:Status-Abbrev} ${Package} ${Version}\\n' | sed -n 's/^ii *//p'"
)


def assert_recorded(desktop: Pod) -> None:
    """The list of packages and the SBOM name exactly what is installed."""
    installed = {tuple(line.split()) for line in desktop.execute("sh", "-c", _INSTALLED).stdout.splitlines()}

    listed = {
        tuple(line.split()[:2])
        for line in desktop.execute("cat", f"{_RECORDS}/packages.txt").stdout.splitlines()
    }
    bill = json.loads(desktop.execute("cat", f"{_RECORDS}/sbom.spdx.json").stdout)
    packages = {(package["name"], package["versionInfo"]) for package in bill["packages"]}

    assert installed
    assert listed == installed
    assert packages & installed == installed
    assert len(packages - installed) <= 1  # the image itself
