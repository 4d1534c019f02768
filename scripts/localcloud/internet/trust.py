"""The certificate authorities that this machine trusts, for images whose builds must trust them too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .layers import Tree, file, tree, with_parents

HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_LOCAL = "usr/local/share/ca-certificates"
_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Trust:
    """What to add to an image: files, and the environment that makes pip and node look at them."""

    files: Tree
    environment: tuple[str, ...]


def host_bundle() -> bytes:
    """Return this machine's bundle, or nothing where it keeps none at Debian's place."""
    return HOST_BUNDLE.read_bytes() if HOST_BUNDLE.is_file() else b""


def trust(packaged: bytes, host: bytes) -> Trust:
    """Compare the bundle that the Debian package makes with the machine's own, which wins.

    Authorities that only the machine knows are also put where `update-ca-certificates` finds them,
    so that a package which regenerates the bundle does not lose them.
    """
    bundle = host or packaged
    files = [file(_BUNDLE, bundle)]
    if bundle == packaged:
        return Trust(with_parents(tree(files)), ())
    known = set(_CERTIFICATE.findall(packaged))
    extra = [pem for pem in _CERTIFICATE.findall(bundle) if pem not in known]
    files += [file(f"{_LOCAL}/host-{number:03}.crt", pem + b"\n") for number, pem in enumerate(extra, 1)]
    return Trust(with_parents(tree(files)), tuple(f"{name}=/{_BUNDLE}" for name in _VARIABLES))
