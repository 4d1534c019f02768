"""Which images the tests build, and how much they do."""

import os
from fnmatch import fnmatch

import pytest
from desktops import catalogue
from desktops.launch import Family

LONG = bool(os.environ.get("AIRGAP_LONG"))
# What only long campaigns build: KDE takes longer than all the others together, and the small desktops
# differ in their second family by what base and Xfce show already.
ONLY_LONG = ("debian-*-kde", "debian-systemd-openbox", "debian-systemd-dosbox")
only_long = pytest.mark.skipif(not LONG, reason="with AIRGAP_LONG=1 only: it builds or starts many desktops")
FAMILIES = tuple(family.value for family in Family)


def built_here() -> list[str]:
    """Names of the images that are built and run here; the large ones only in long campaigns."""
    return [
        image.name
        for image in catalogue.load().values()
        if image.tested and (LONG or not any(fnmatch(image.name, pattern) for pattern in ONLY_LONG))
    ]
