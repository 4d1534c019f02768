"""A signing key that lives as long as it is needed."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SigningKey:
    """A key in a folder of its own."""

    home: Path

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run gpg with this key alone."""
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout

    @property
    def public(self) -> bytes:
        """The public key, armoured."""
        return self.run("--armor", "--export")

    @property
    def fingerprint(self) -> str:
        """Its fingerprint."""
        lines = self.run("--with-colons", "--list-keys").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))


@contextmanager
def signing_key() -> Iterator[SigningKey]:
    """A new key; gpg's agent ends with it."""
    with tempfile.TemporaryDirectory(prefix="standin-key-") as folder:
        key = SigningKey(Path(folder))
        key.run("--passphrase", "", "--quick-generate-key", "stand-in <test@example.com>", "rsa2048", "sign")
        try:
            yield key
        finally:
            subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=False)
