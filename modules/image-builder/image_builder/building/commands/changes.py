"""What commands have changed, from tar's account of overlayfs to a layer.

Overlayfs marks what was deleted by a device file, and a folder that hides the one below by an attribute;
layers have names for both (OCI image-spec, Whiteouts).
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..assembled.base_index import OPAQUE, WHITEOUT
from ..assembled.layer import LayerWriter, WrittenLayer
from ..stop import Stop

# Run in the sandbox, where files have their own users; its arguments are names of layers.
READ_CHANGES = """
for layer; do
  tar --create --file "$layer.tar" --directory "graph/overlay/$layer/diff" --sort=name --numeric-owner \\
    --format=pax --pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f --mtime=@0 \\
    --xattrs --xattrs-include=security.capability '--xattrs-include=*.overlay.opaque' . || exit 1
done
"""
_ATTRIBUTE = "SCHILY.xattr."
_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")
_KEPT = ("security.capability",)
_SKIPPED = (tarfile.CHRTYPE, tarfile.BLKTYPE)


def new_layers(store: Path, image: str) -> list[str]:
    """Names of the layers of an image that are in the store in which it was built, from the lowest.

    Args:
        store: buildah's store; those of the bases are others.
        image: the image's id, as `--iidfile` has it.
    """
    images = json.loads((store / "overlay-images" / "images.json").read_text("utf-8"))
    layers = json.loads((store / "overlay-layers" / "layers.json").read_text("utf-8"))
    parents = {layer["id"]: layer.get("parent", "") for layer in layers}
    wanted = image.strip().removeprefix("sha256:")
    at = next(entry["layer"] for entry in images if entry["id"] == wanted)
    found = []
    while at in parents:
        found.append(at)
        at = parents[at]
    return found[::-1]


def write_changes(archive: Path, path: Path, time: int, stop: Stop) -> WrittenLayer | None:
    """Write the layer of an archive, and remove the archive; None when nothing has changed.

    Args:
        archive: what tar has written of an overlay's upper folder.
        path: where the layer is written.
        time: seconds since 1970 that every entry gets.
        stop: asked as the work gets on.
    """
    count = 0
    with LayerWriter(path, stop) as writer, tarfile.open(archive, "r:") as tar:
        for member in tar:
            for header in _translated(member):
                header.mtime = time
                writer.add(header, tar.extractfile(member) if header.isreg() and header.size else None)
                count += 1
    archive.unlink()
    return writer.written if count else None


def _translated(member: tarfile.TarInfo) -> Iterator[tarfile.TarInfo]:
    """The entries of a layer that stand for one of tar's; none for what a layer cannot have."""
    name = member.name.removeprefix("./").strip("/")
    folder, _, last = name.rpartition("/")
    if name in ("", "."):
        return
    if member.type == tarfile.CHRTYPE and (member.devmajor, member.devminor) == (0, 0):
        yield tarfile.TarInfo("/".join(filter(None, [folder, WHITEOUT + last])))
        return
    if member.type in _SKIPPED:
        return
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.size = member.type, member.mode & 0o7777, member.size
    header.uid, header.gid = member.uid, member.gid
    header.linkname = member.linkname.removeprefix("./") if member.islnk() else member.linkname
    attributes = {
        key.removeprefix(_ATTRIBUTE): value
        for key, value in member.pax_headers.items()
        if key.startswith(_ATTRIBUTE)
    }
    header.pax_headers = {_ATTRIBUTE + key: value for key, value in attributes.items() if key in _KEPT}
    yield header
    if any(key in attributes for key in _OPAQUE):
        yield tarfile.TarInfo(f"{name}/{OPAQUE}")
