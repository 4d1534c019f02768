"""The certificate of port 8443: from a mounted secret, or self-signed when the environment says so.

The DCV server reads `/etc/dcv/dcv.pem` and `/etc/dcv/dcv.key`; in the image both are links to `FOLDER`, so
that the root file system can stay read-only.
"""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .accounts import Account, give
from .errors import StartError

MOUNT = Path("/etc/dcv/tls")  # a Kubernetes secret of type kubernetes.io/tls
FOLDER = Path("/run/dcv-image/tls")
SELF_SIGNED = "DCV_TLS_SELF_SIGNED"
DAYS = 397  # the longest life that clients accept of a server's certificate
SECONDS = 30


def prepare(
    environment: Mapping[str, str],
    server: Account | None,
    mount: Path = MOUNT,
    folder: Path = FOLDER,
) -> None:
    """Put certificate and key where the DCV server reads them, readable by its user alone.

    Raises:
        StartError: neither a usable secret nor leave to sign one ourselves.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    certificate, key = folder / "dcv.pem", folder / "dcv.key"
    for path in (certificate, key):
        if path.exists():
            path.unlink()  # those of an earlier start belong to the server's user
    if (mount / "tls.crt").exists() or (mount / "tls.key").exists():
        _copy(mount, certificate, key)
    elif environment.get(SELF_SIGNED, "").lower() == "true":
        _sign(certificate, key)
    else:
        raise StartError(
            f"there is no TLS certificate for port 8443: mount a secret with tls.crt and tls.key at {mount}, "
            f"or set {SELF_SIGNED}=true"
        )
    if server is not None:
        for path in (certificate, key):
            give(path, server)


def _copy(mount: Path, certificate: Path, key: Path) -> None:
    try:
        _write(certificate, (mount / "tls.crt").read_bytes())
        _write(key, (mount / "tls.key").read_bytes())
    except OSError as error:
        raise StartError(f"the TLS secret at {mount} cannot be read: {error}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(certificate), str(key))
    except (ssl.SSLError, ValueError):
        raise StartError(
            f"the TLS secret at {mount} is not usable: tls.crt has to hold a PEM certificate, and tls.key "
            "its key without a passphrase"
        ) from None


def _sign(certificate: Path, key: Path) -> None:
    _write(key, b"")  # so that the key is never readable by others, whatever mode openssl(1) chooses
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    options = ["-nodes", "-subj", "/CN=dcv-image", "-days", str(DAYS)]
    try:
        subprocess.run(
            [*command, *options, "-keyout", str(key), "-out", str(certificate)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(f"the self-signed certificate could not be made: {error}") from None


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
