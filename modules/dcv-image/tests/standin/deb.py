"""Debian packages of files, signed in the two ways that are in use (deb(5), ar(5))."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from .signing import SigningKey

TIME = 1_600_000_000


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        files: absolute path to content; all of them programs.
    """

    name: str
    version: str
    depends: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    postinst: str = ""

    def members(self) -> dict[str, bytes]:
        """The three members of the package."""
        lines = [
            f"Package: {self.name}",
            f"Version: {self.version}",
            "Architecture: all",
            "Maintainer: stand-in <test@example.com>",
            f"Depends: {self.depends}",
            "Description: stand-in for Amazon DCV\n",
        ]
        control = {"./control": "\n".join(lines).encode()}
        if self.postinst:
            control["./postinst"] = self.postinst.encode()
        data = {f".{path}": content for path, content in self.files.items()}
        return {
            "debian-binary": b"2.0\n",
            "control.tar.gz": _tar(control),
            "data.tar.gz": _tar(data),
        }


def unsigned(members: Mapping[str, bytes]) -> bytes:
    """The package file."""
    packed = b"!<arch>\n"
    for name, content in members.items():
        packed += f"{name:<16}{TIME:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    return packed


def signed_by_debsigs(members: Mapping[str, bytes], key: SigningKey) -> bytes:
    """With a signature of the three members, one after the other."""
    signature = key.run("--detach-sign", stdin=b"".join(members.values()))
    return unsigned({**members, "_gpgorigin": signature})


def signed_by_dpkg_sig(members: Mapping[str, bytes], key: SigningKey) -> bytes:
    """With a signed list of the members' checksums."""
    lines = [
        f"\t{hashlib.md5(data).hexdigest()} {hashlib.sha1(data).hexdigest()} {len(data)} {name}"  # noqa: S324
        for name, data in members.items()
    ]
    text = "\n".join(["Version: 4", "Signer: stand-in", "Role: builder", "Files:", *lines, ""])
    return unsigned({**members, "_gpgbuilder": key.run("--clear-sign", stdin=text.encode())})


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), TIME, 0o755
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
