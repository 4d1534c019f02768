"""Verifies the signature inside a .deb: `verify_deb.py PACKAGE KEYRING refuse|accept`.

Two kinds of signature are in use. debsigs signs the package's other members, one after the other
(`_gpgorigin`, `_gpgmaint`, `_gpgarchive`); dpkg-sig signs a list of their checksums (`_gpgbuilder`).
Python 3.8, standard library.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MAGIC = b"!<arch>\n"
HEADER = 60  # bytes; ar(5)
SIGNATURE = "_gpg"
CHECKSUMS = re.compile(r"^\s+([0-9a-f]{32}) ([0-9a-f]{40}) (\d+) (\S+)$", re.MULTILINE)


class SignatureError(Exception):
    """The package is not what the key's owner signed; the text says why."""


def members(package: bytes) -> dict[str, bytes]:
    """The members of an ar archive, in their order.

    Raises:
        SignatureError: it is none, or holds a name twice.
    """
    found: dict[str, bytes] = {}
    offset = len(MAGIC)
    if not package.startswith(MAGIC):
        raise SignatureError("it is no Debian package")
    while offset < len(package):
        header = package[offset : offset + HEADER]
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        size = int(header[48:58] or b"0")
        if name in found:
            raise SignatureError(f"it holds {name} twice")
        found[name] = package[offset + HEADER : offset + HEADER + size]
        offset += HEADER + size + size % 2
    return found


def verify(package: bytes, keyring: Path) -> bool:
    """Whether the package carries a signature; each that it carries is right then.

    Raises:
        SignatureError: one is not right.
    """
    content = members(package)
    signatures = {name: data for name, data in content.items() if name.startswith(SIGNATURE)}
    signed = {name: data for name, data in content.items() if name not in signatures}
    for name, data in signatures.items():
        if data.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"):
            _verify_checksums(name, _gpgv(keyring, name, data, None), signed)
        else:
            _gpgv(keyring, name, data, b"".join(signed.values()))
    return bool(signatures)


def _gpgv(keyring: Path, name: str, signature: bytes, signed: bytes | None) -> str:
    """Verify with the key; the text that was signed when it is inside the signature."""
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder, "signature"), Path(folder, "output")
        file.write_bytes(signature)
        command = ["gpgv", "--keyring", str(keyring), "--output", str(output), str(file)]
        if signed is not None:
            command.append("-")
        done = subprocess.run(command, input=signed or b"", capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise SignatureError(f"its signature {name} is not of the pinned key: {' '.join(said)}")
        return output.read_text() if output.exists() else ""


def _verify_checksums(name: str, text: str, signed: dict[str, bytes]) -> None:
    listed = {member: (md5, sha1, int(size)) for md5, sha1, size, member in CHECKSUMS.findall(text)}
    actual = {
        member: (hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest(), len(data))  # noqa: S324 - the format's
        for member, data in signed.items()
    }
    if listed != actual:
        raise SignatureError(f"what its signature {name} lists is not what it holds")


def main(package: str, keyring: str, unsigned: str) -> int:
    """Say why a package must not be installed; the exit status says it too."""
    try:
        if verify(Path(package).read_bytes(), Path(keyring)) or unsigned == "accept":
            return 0
        reason = "it carries no signature; `dcv-unsigned-deb: accept` trusts the archive's checksum alone"
    except SignatureError as error:
        reason = str(error)
    print(f"{Path(package).name}: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
