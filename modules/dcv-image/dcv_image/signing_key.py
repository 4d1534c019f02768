"""The vendor's signing key: is it the one that the manifest pins?

Formats: OpenPGP (RFC 4880): packets in 4.2, fingerprints in 12.2, ASCII armour in 6.2.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

from .shared.errors import UserError

PUBLIC_KEY = 6  # packet tag of a primary key
_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\n]*:[^\n]*\n)*\r?\n"
    rb"(?P<body>.*?)\r?\n(?:=[^\n]*\n)?-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)


def verified_key(content: bytes, fingerprint: str, parameter: str) -> bytes:
    """The key in its binary form, when it alone is in the file and has the fingerprint.

    Args:
        content: an armoured or binary public key.
        fingerprint: 40 hexadecimal digits, in capitals.
        parameter: manifest parameter that the key comes from, for messages.

    Raises:
        UserError: it is no key, several, or another one.
    """
    try:
        key = _binary(content)
        found = [_fingerprint(body) for tag, body in _packets(key) if tag == PUBLIC_KEY]
    except (ValueError, IndexError, binascii.Error):
        found = []
    if not found:
        raise UserError(f"manifest parameter `{parameter}`: the file holds no OpenPGP public key")
    if found != [fingerprint]:
        raise UserError(
            f"manifest parameter `{parameter}-fingerprint`: the file holds the key {', '.join(found)}, "
            f"not {fingerprint} alone"
        )
    return key


def armoured(key: bytes) -> bytes:
    """A binary key as text with its checksum, as rpm imports it."""
    lines = [
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
        base64.encodebytes(key).rstrip(),
        b"=" + base64.b64encode(_crc24(key)),
        b"-----END PGP PUBLIC KEY BLOCK-----\n",
    ]
    return b"\n".join(lines)


def _crc24(data: bytes) -> bytes:
    """Checksum of an armour (6.1)."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc.to_bytes(3, "big")


def _binary(content: bytes) -> bytes:
    found = _ARMOUR.search(content)
    return base64.b64decode(found["body"]) if found else content


def _fingerprint(body: bytes) -> str:
    # A version 4 key; older ones have another, weak fingerprint.
    if body[0] != 4:
        raise ValueError
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - the format's


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet."""
    offset = 0
    while offset < len(data):
        head = data[offset]
        if not head & 0x80:
            raise ValueError
        if head & 0x40:
            tag, (length, begin) = head & 0x3F, _new_length(data, offset + 1)
        else:
            tag, octets = head >> 2 & 0x0F, 1 << (head & 0x03)
            begin = offset + 1 + octets
            length = int.from_bytes(data[offset + 1 : begin], "big")
        yield tag, data[begin : begin + length]
        offset = begin + length


def _new_length(data: bytes, offset: int) -> tuple[int, int]:
    """Length of a packet in the new format, and where its body begins."""
    first = data[offset]
    if first < 192:
        return first, offset + 1
    if first < 224:
        return (first - 192 << 8) + data[offset + 1] + 192, offset + 2
    return int.from_bytes(data[offset + 1 : offset + 5], "big"), offset + 5
