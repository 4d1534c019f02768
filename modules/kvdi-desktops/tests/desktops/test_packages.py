"""What is installed is on record in the image, twice, and the same."""

import json
from collections.abc import Callable

import pytest
from desktop_support import built_here
from desktops.pod import Pod

pytestmark = pytest.mark.engine

RECORDS = "/usr/share/kvdi-desktops"
INSTALLED = (
    "dpkg-query --show --showformat='${db:Status-Abbrev} ${Package} ${Version}\\n' | sed -n 's/^ii *//p'"
)


@pytest.mark.parametrize("name", built_here())
def test_the_records_equal_what_is_installed(shared: Callable[[str], Pod], name: str) -> None:
    desktop = shared(name)
    installed = {tuple(line.split()) for line in desktop.execute("sh", "-c", INSTALLED).stdout.splitlines()}

    listed = {
        tuple(line.split()[:2])
        for line in desktop.execute("cat", f"{RECORDS}/packages.txt").stdout.splitlines()
    }
    bill = json.loads(desktop.execute("cat", f"{RECORDS}/sbom.spdx.json").stdout)
    packages = {(package["name"], package["versionInfo"]) for package in bill["packages"]}

    assert installed
    assert listed == installed
    assert packages & installed == installed
    assert len(packages - installed) <= 1  # the image itself
