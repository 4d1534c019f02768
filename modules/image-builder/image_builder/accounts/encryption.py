"""Encryption of what the database keeps of other systems' credentials.

Keys are derived from the given secrets (HKDF, RFC 5869), under a label of their own: even where one secret
signs tokens and protects credentials, the two keys have nothing in common.
"""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LABEL = b"image-builder credentials v1"


class UnknownKeyError(Exception):
    """None of the keys encrypted this."""


class Keyring:
    """Encrypts with the first key and decrypts with any; putting a new key first rotates."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(secret)) for secret in secrets])

    def encrypt(self, text: str) -> str:
        """The text as the database may keep it."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """The text.

        Raises:
            UnknownKeyError: none of the keys is the right one.
        """
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise UnknownKeyError("none of the keys in DCRX_KV_ENCRYPTION_KEY decrypts it") from None

    def rotate(self, encrypted: str) -> str:
        """The same text under the first key.

        Raises:
            UnknownKeyError: none of the keys is the right one.
        """
        return self.encrypt(self.decrypt(encrypted))


def _derived(secret: str) -> bytes:
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_LABEL).derive(secret.encode())
    return base64.urlsafe_b64encode(key)
