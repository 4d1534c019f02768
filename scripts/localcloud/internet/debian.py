"""Debian packages as file trees, by mmdebstrap."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

from .commands import find_tool, run
from .layers import TIMESTAMP, Entry, Tree, symlink, tree

SUITE = "bookworm"
SOURCES = f"""\
deb http://deb.debian.org/debian {SUITE} main
deb http://deb.debian.org/debian {SUITE}-updates main
deb http://deb.debian.org/debian-security {SUITE}-security main
"""
# dpkg keeps to these in builds from the image as well.
_DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
_LEFT_OUT = (
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/lintian/",
    "usr/share/i18n/",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/",
)
# The building machine's own, copied in by mmdebstrap for its apt.
_OF_THE_BUILDER = ("etc/hostname", "etc/resolv.conf", "etc/machine-id")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Selection:
    """A set of packages for one architecture; `variant` is mmdebstrap's."""

    architecture: str
    variant: str
    packages: tuple[str, ...]


async def fetch(selection: Selection, archive: Path) -> None:
    """Write the packages' files, and for an installing variant their set-up, as a tar archive."""
    tool = find_tool(["mmdebstrap"], ["mmdebstrap", "debian-archive-keyring"])
    options = [f"--dpkgopt={option}" for option in _DPKG_OPTIONS] if selection.variant != "extract" else []
    await run(
        [
            tool,
            f"--variant={selection.variant}",
            f"--architectures={selection.architecture}",
            f"--include={','.join(selection.packages)}",
            "--format=tar",
            *options,
            SUITE,
            str(archive),
            "-",
        ],
        stdin=SOURCES,
        environment={"SOURCE_DATE_EPOCH": str(TIMESTAMP)},
    )


def system(files: Tree) -> Tree:
    """Return a root file system without documentation and without traces of the building machine."""
    return _merged_usr({path: entry for path, entry in files.items() if not _is_left_out(path)})


def _is_left_out(path: str) -> bool:
    if path in _OF_THE_BUILDER or path.startswith(_LEFT_OUT):
        return path != "usr/share/locale/locale.alias"
    return path.startswith("usr/share/doc/") and path.count("/") > 3 and not path.endswith("/copyright")


def _merged_usr(files: Tree) -> Tree:
    """Move /bin, /lib and their like below /usr, as the set-up of an installed system does."""
    apart = [name for name in _MERGED if name in files and files[name].kind == tarfile.DIRTYPE]

    def moved(path: str) -> str:
        return f"usr/{path}" if path.partition("/")[0] in apart else path

    def moved_entry(entry: Entry) -> Entry:
        target = moved(entry.target) if entry.kind == tarfile.LNKTYPE else entry.target
        return replace(entry, path=moved(entry.path), target=target)

    return tree(moved_entry(entry) for entry in files.values()) | tree(
        symlink(name, f"usr/{name}") for name in apart
    )
