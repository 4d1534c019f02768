"""What the box serves over HTTP, and the charts of its registry: packaged as helm does."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import oci, standin
from .errors import InternetError
from .folders import filling
from .layers import CREATED, TIMESTAMP
from .oci import Layout

SOURCES = Path(__file__).with_name("charts")
# Which charts each HTTP repository offers; the private one asks for a name and a password.
HTTP_REPOSITORIES = {"stable": ("node-exporter", "echo"), "private": ("node-exporter",)}
OCI_CHARTS = ("base-tools",)
OCI_REPOSITORY = "ghcr.io/example-charts"

_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_PLACEHOLDER = re.compile(r"@digest:([^@\s]+)@")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Chart:
    """A packaged chart: its metadata and its archive."""

    metadata: Mapping[str, Any]
    archive: bytes

    @property
    def file_name(self) -> str:
        """The archive's name, as `helm package` gives it."""
        return f"{self.metadata['name']}-{self.metadata['version']}.tgz"


@dataclass(frozen=True)
class Charts:
    """The built charts: a folder to serve over HTTP and a layout to publish in a registry."""

    folder: Path

    @property
    def http(self) -> Path:
        """The folder with one sub-folder for each HTTP repository, and one for Amazon DCV's stand-in."""
        return self.folder / "http"

    @property
    def layout(self) -> Layout:
        """The charts that a registry offers."""
        return Layout(self.folder / "oci")


def build_charts(cache_dir: Path, images: Layout, progress: Progress) -> Charts:
    """Package all charts, once for each state of their sources and of the images that they pin."""
    packaged = {path.name: package(path, images) for path in sorted(SOURCES.iterdir())}
    folder = cache_dir / "charts" / _hash(packaged)
    with filling(folder) as temporary:
        if temporary is not None:
            progress(f"packaging the charts {', '.join(packaged)}")
            for repository, names in HTTP_REPOSITORIES.items():
                _write_http_repository(
                    temporary / "http" / repository, {name: packaged[name] for name in names}
                )
            standin.write(temporary / "http" / standin.FOLDER)
            _write_layout(Layout(temporary / "oci"), {name: packaged[name] for name in OCI_CHARTS})
    return Charts(folder)


def _hash(packaged: Mapping[str, Chart]) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(standin.source_hash().encode())
    for chart in packaged.values():
        digest.update(hashlib.sha256(chart.archive).digest())
    return digest.hexdigest()[:16]


def package(source: Path, images: Layout) -> Chart:
    """Pack a chart's folder; a digest that its values ask for becomes that of the image in the box."""
    metadata = yaml.safe_load((source / "Chart.yaml").read_text())
    files = sorted(
        (path for path in source.rglob("*") if path.is_file()), key=lambda path: _order(source, path)
    )
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, buffer, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(files, key=lambda path: _order(source, path)):
            content = _with_digests(path.read_text(), images).encode()
            member = tarfile.TarInfo(f"{metadata['name']}/{path.relative_to(source).as_posix()}")
            member.size, member.mode, member.mtime = len(content), 0o644, TIMESTAMP
            archive.addfile(member, io.BytesIO(content))
    return Chart(metadata, buffer.getvalue())


def _order(source: Path, path: Path) -> tuple[bool, str]:
    """Chart.yaml comes first, as helm has it."""
    relative = path.relative_to(source).as_posix()
    return relative != "Chart.yaml", relative


def _with_digests(text: str, images: Layout) -> str:
    def digest(match: re.Match[str]) -> str:
        try:
            return images.references[match[1]].digest
        except KeyError:
            raise InternetError(
                f"a chart asks for the digest of {match[1]}, which is not in the box"
            ) from None

    return _PLACEHOLDER.sub(digest, text)


def _write_http_repository(folder: Path, charts: Mapping[str, Chart]) -> None:
    folder.mkdir(parents=True)
    entries = {}
    for name, chart in sorted(charts.items()):
        (folder / chart.file_name).write_bytes(chart.archive)
        digest = hashlib.sha256(chart.archive).hexdigest()
        # A relative URL keeps the index independent of where it is served.
        entries[name] = [{**chart.metadata, "created": CREATED, "digest": digest, "urls": [chart.file_name]}]
    index = {"apiVersion": "v1", "entries": entries, "generated": CREATED}
    (folder / "index.yaml").write_text(yaml.safe_dump(index))


def _write_layout(layout: Layout, charts: Mapping[str, Chart]) -> None:
    for name, chart in charts.items():
        version = str(chart.metadata["version"])
        config = layout.add(oci.canonical_json(dict(chart.metadata)), _CONFIG)
        content = layout.add(chart.archive, _CONTENT)
        manifest = {
            "schemaVersion": 2,
            "mediaType": oci.OCI.manifest,
            "config": config.document(),
            "layers": [content.document()],
            "annotations": {
                "org.opencontainers.image.created": CREATED,
                "org.opencontainers.image.description": chart.metadata["description"],
                "org.opencontainers.image.title": name,
                "org.opencontainers.image.version": version,
            },
        }
        # A tag cannot have a "+": helm writes "_" for it.
        reference = f"{OCI_REPOSITORY}/{name}:{version.replace('+', '_')}"
        layout.refer(reference, layout.add(oci.canonical_json(manifest), oci.OCI.manifest))
    layout.save()
