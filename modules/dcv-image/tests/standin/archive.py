"""An archive of the vendor's shape: `python -m standin.archive FOLDER` makes one for Debian and Ubuntu.

Beside it lie the public key, and `standin.json` with what a manifest says of both.
"""

import argparse
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .deb import Package, signed_by_debsigs, signed_by_dpkg_sig
from .signing import SigningKey, signing_key

PROGRAMS = Path(__file__).parent / "programs"
VERSION = "2025.0-20103"
SYSTEM, ARCHITECTURE = "ubuntu2204", "x86_64"
DESCRIPTION = "standin.json"
# The vendor's package makes the user that its server runs as.
POSTINST = """#!/bin/sh
set -e
if ! getent passwd dcv >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/dcv --shell /usr/sbin/nologin dcv
fi
"""
Sign = Callable[[Mapping[str, bytes], SigningKey], bytes]


@dataclass(frozen=True)
class StandIn:
    """What a manifest says: where archive and key are, and how they are verified."""

    archive: Path
    sha256: str
    key: Path
    fingerprint: str

    def parameters(self, location: Callable[[Path], str] = str) -> dict[str, str]:
        """Manifest parameters; `location` turns a file into where the module finds it."""
        return {
            "dcv-archive": location(self.archive),
            "dcv-archive-sha256": self.sha256,
            "dcv-signing-key": location(self.key),
            "dcv-signing-key-fingerprint": self.fingerprint,
        }


def server() -> Package:
    """The server, its launcher and its client."""
    names = ("dcv", "dcvserver", "dcvsessionlauncher")
    files = {f"/usr/bin/{name}": (PROGRAMS / name).read_bytes() for name in names}
    return Package("nice-dcv-server", "2025.0.20103-1", "python3, passwd", files, POSTINST)


def xdcv() -> Package:
    """The X server of virtual sessions: a real Xvnc."""
    return Package("nice-xdcv", "2025.0.688-1", "tigervnc-standalone-server")


def make(
    folder: Path,
    key: SigningKey,
    sign_server: Sign = signed_by_debsigs,
    sign_xdcv: Sign = signed_by_dpkg_sig,
) -> StandIn:
    """Write archive and key into the folder."""
    packages = {
        f"{package.name}_{package.version}_amd64.{SYSTEM}.deb": sign(package.members(), key)
        for package, sign in ((server(), sign_server), (xdcv(), sign_xdcv))
    }
    return pack(folder, packages, key)


def pack(folder: Path, packages: Mapping[str, bytes], key: SigningKey, system: str = SYSTEM) -> StandIn:
    """Pack signed packages as the vendor does, and write the key beside them."""
    name = f"nice-dcv-{VERSION}-{system}-{ARCHITECTURE}"
    archive, public = folder / f"{name}.tgz", folder / "NICE-GPG-KEY"
    with tarfile.open(archive, "w:gz") as packed:
        for file, content in packages.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size, member.mode = len(content), 0o644
            packed.addfile(member, io.BytesIO(content))
    public.write_bytes(key.public)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return StandIn(archive, digest, public, key.fingerprint)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="made when it is not there")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with signing_key() as key:
        made = make(folder, key)
    described = {name: str(value) for name, value in asdict(made).items()}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
