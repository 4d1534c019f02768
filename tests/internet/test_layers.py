"""The same files become the same bytes, in whatever order and at whatever time."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from localcloud.internet.layers import TIMESTAMP, Entry, directory, file, read_tar, symlink, tree, write_layer
from localcloud.internet.oci import Layout

ENTRIES = [
    file("b/file", b"content", 0o600),
    Entry("a-link", tarfile.LNKTYPE, target="b/file"),
    directory("b", 0o1777),
    symlink("c", "b/file"),
    file("b/" + "long" * 60, b""),
]


def test_digest_does_not_depend_on_order(tmp_path: Path) -> None:
    first = write_layer(tree(ENTRIES), Layout(tmp_path / "1"))
    second = write_layer(tree(reversed(ENTRIES)), Layout(tmp_path / "2"))
    assert first == second


def test_layer_is_a_plain_tar_without_traces_of_its_making(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layer = write_layer(tree(ENTRIES), layout)
    blob = layout.blob(layer.digest).read_bytes()
    plain = gzip.decompress(blob)
    assert layer.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert layer.size == len(blob)
    assert blob[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
        assert names == ["b", "b/file", "b/" + "long" * 60, "c", "a-link"]
        assert {member.mtime for member in archive} == {TIMESTAMP}
        assert archive.extractfile("a-link").read() == b"content"  # type: ignore[union-attr]


def test_reading_and_writing_again_changes_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layer = write_layer(tree(ENTRIES), layout)
    with tarfile.open(layout.blob(layer.digest)) as archive:
        again = write_layer(read_tar(archive), Layout(tmp_path / "again"))
    assert again == layer


def test_failure_leaves_no_blob(tmp_path: Path) -> None:
    def broken() -> bytes:
        raise OSError("unreadable")

    layout = Layout(tmp_path)
    with pytest.raises(OSError, match="unreadable"):
        write_layer(tree([Entry("x", read=broken)]), layout)
    assert list((tmp_path / "blobs" / "sha256").iterdir()) == []
