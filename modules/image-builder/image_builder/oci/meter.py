"""Bytes to transfer and transferred, for whoever shows them."""

from dataclasses import dataclass


@dataclass
class Meter:
    """Counts the content of blobs.

    Attributes:
        expected: bytes that have to be transferred, as far as is known.
        transferred: bytes that have arrived from the sources, those of broken tries among them.
    """

    expected: int = 0
    transferred: int = 0
