"""The `bundle` command: everything that a deploy would copy, on a disk that can be carried.

First every manifest is read, so that all content and its size are known, and whatever cannot be had is
reported before the first large byte. Then the blobs are fetched, each once.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from . import datafiles, results
from .aws import Aws
from .bundle_content import DATA_FILES, Content, chart_address, data_files_content
from .bundle_item import BundleItem
from .charts.push import chart_content
from .charts.sources import ChartSources
from .credentials import run_credentials
from .datafiles import DataFiles
from .mappings import DockerMappings
from .oci.attached import Attachments
from .oci.coalesce import Coalescer, all_of
from .oci.digest import digest_of
from .oci.download import Download
from .oci.errors import RegistryError
from .oci.layout import INDEX_FILE, Layout, LayoutError
from .oci.layout_writer import LayoutWriter, is_archive, open_writer
from .oci.manifests import OCI_INDEX, Descriptor
from .oci.meter import Meter
from .oci.registry import Repository
from .oci.transport import Transport
from .problems import listed
from .progress import Progress
from .resolve import ResolvedChart, Target, resolve
from .settings import Parameters
from .shared.errors import UserError
from .shared.settings import invalid, read
from .transfers import readable_size

_CONCURRENT_BLOBS = 8
# The names of private copies are made when the bundle is loaded; these have the usual length.
_SOMEWHERE = Target("000000000000.dkr.ecr.eu-central-1.amazonaws.com", "project")


@dataclass(frozen=True)
class BundleOptions:
    """What the command line says; each wins over the environment, and None leaves it as it is."""

    eks_version: str | None = None
    data_path: Path | None = None


def bundle(out: Path, options: BundleOptions, *, as_json: bool) -> int:
    """Write a bundle to `out`, a folder or a `.tar`; the exit status is 1 when it could not be completed.

    Raises:
        ParameterError: parameters are missing or wrong.
        UserError: there are problems, and they are not printed as JSON.
    """
    given = {"eks_version": options.eks_version, "data_path": options.data_path}
    problems: list[str] = []
    parameters = read(Parameters, problems, **{name: value for name, value in given.items() if value})
    if parameters is None:
        raise invalid(problems)
    progress = Progress(log=sys.stderr if as_json else None)
    try:
        report = asyncio.run(_Bundling(out, parameters, progress).run())
    except UserError as error:
        if not as_json:
            raise
        found = [str(problem) for problem in getattr(error, "problems", [])] or [str(error)]
        print(json.dumps({"path": str(out), "problems": found}, indent=2))
        return error.exit_status
    if as_json:
        print(json.dumps(report, indent=2))
    return 0


class BundleError(UserError):
    """A bundle that is not complete.

    Attributes:
        problems: what could not be had, and why.
    """

    def __init__(self, text: str, problems: list[str]) -> None:
        super().__init__(listed(text, problems))
        self.problems = problems


class _Bundling:
    """One run of the command."""

    def __init__(self, out: Path, parameters: Parameters, progress: Progress) -> None:
        self._out = out
        self._parameters = parameters
        self._progress = progress
        self._meter = Meter()
        self._blobs = Coalescer()
        self._attachments = Attachments()
        self._there: set[str] = set()  # digests of the blobs that the bundle has
        self._slots = asyncio.Semaphore(_CONCURRENT_BLOBS)

    async def run(self) -> dict[str, object]:
        """Write the bundle; what it holds, for programs."""
        data = datafiles.load(self._parameters.data_path, self._parameters.eks_version)
        credentials = None
        if self._parameters.helm_repo_secret_name:
            credentials = run_credentials(self._parameters, [data], await asyncio.to_thread(Aws.connect))
        async with Transport(endpoints=self._parameters.endpoints, credentials=credentials) as transport:
            items = await self._items(transport, data)
            await self._all(
                "could not be read; nothing was written", items, [self._explore(item) for item in items]
            )
            try:
                return await self._write(transport, items, await self._data_files())
            except OSError as error:
                raise UserError(
                    f"cannot write the bundle to {self._out}: {error.strerror or error}"
                ) from None
            except LayoutError as error:
                raise UserError(str(error)) from None

    async def _items(self, transport: Transport, data: DataFiles) -> list[BundleItem]:
        self._progress.say(f"fetching {len(data.workloads)} charts")
        fetched = await ChartSources(transport, self._parameters.endpoints).fetch(data)
        resolution = resolve(data, fetched, _SOMEWHERE)
        results.compact(results.inventory(data, resolution))
        count = f"{len(resolution.images)} images in {len(resolution.charts)} charts"
        self._progress.say(f"found {count}; reading their manifests")
        addresses = {str(image.address): image.address for image in resolution.images}
        items = [
            BundleItem(name, Repository(transport, address), address.identifier)
            for name, address in addresses.items()
        ]
        return [*items, *_charts(transport, resolution.charts, data.mappings)]

    async def _explore(self, item: BundleItem) -> None:
        await item.explore()
        if isinstance(item.source, Repository):  # to what is made here, nothing is attached
            await item.explore_attached(item.source, self._attachments)

    async def _data_files(self) -> BundleItem:
        version = self._parameters.eks_version
        content = data_files_content(self._parameters.data_path, version)
        files = BundleItem(f"{DATA_FILES}{version}", content, "")
        await files.explore()
        return files

    async def _write(
        self, transport: Transport, items: list[BundleItem], files: BundleItem
    ) -> dict[str, object]:
        named = [*items, files]
        manifests = {digest: manifest for item in named for digest, manifest in item.manifests.items()}
        everything = _sized(named)
        index = _index(named)
        await asyncio.to_thread(_refuse_others, self._out)
        writer = await asyncio.to_thread(open_writer, self._out, list(everything.values()), index)
        try:
            await self._see_what_is_there(writer, everything)
            for digest in sorted(manifests.keys() - self._there):
                await writer.write(everything[digest], _once(manifests[digest].raw))
                self._there.add(digest)
            self._meter.expected = sum(everything[digest].size for digest in everything.keys() - self._there)
            async with self._progress.transfers(self._meter, len(items)):
                await self._fetch_all(transport, writer, files)
                fetches = [self._bring(transport, writer, item) for item in items]
                await self._all("could not be fetched; the next run goes on from here", items, fetches)
            await asyncio.to_thread(writer.finish)
        finally:
            writer.close()
        size = sum(blob.size for blob in everything.values())
        digest = digest_of(index)
        self._progress.say(f"{self._out} is complete: {readable_size(size)}, index {digest}")
        return {
            "path": str(self._out),
            "eks_version": self._parameters.eks_version,
            "index": digest,
            "bytes": size,
            "fetched_bytes": self._meter.transferred,
            "images": {item.name: item.root for item in named},
            "attached": {name: digest for item in named for name, digest in sorted(item.attached.items())},
            "problems": [],
        }

    async def _see_what_is_there(self, writer: LayoutWriter, blobs: Mapping[str, Descriptor]) -> None:
        for digest, blob in blobs.items():
            if await asyncio.to_thread(writer.has, blob):
                self._there.add(digest)
        missing = sum(blob.size for digest, blob in blobs.items() if digest not in self._there)
        room = writer.room()
        if missing > room:
            raise UserError(
                f"cannot write the bundle to {self._out}: {readable_size(missing)} are to be written, and "
                f"the disk has room for {readable_size(room)}"
            )
        if self._there:
            kept = sum(blobs[digest].size for digest in self._there)
            self._progress.say(
                f"{len(self._there)} blobs ({readable_size(kept)}) are there from an earlier run"
            )

    async def _bring(self, transport: Transport, writer: LayoutWriter, item: BundleItem) -> None:
        await self._fetch_all(transport, writer, item)
        self._progress.count()
        size = readable_size(sum(blob.size for blob in item.blobs))
        self._progress.say(f"{item.name} ({size}, {item.root})")

    async def _fetch_all(self, transport: Transport, writer: LayoutWriter, item: BundleItem) -> None:
        async def bring(blob: Descriptor) -> None:
            await self._blobs.run(blob.digest, lambda: self._fetch(transport, writer, item, blob))

        await all_of([bring(blob) for blob in item.blobs if blob.digest not in self._there])

    async def _fetch(
        self, transport: Transport, writer: LayoutWriter, item: BundleItem, blob: Descriptor
    ) -> None:
        """Bring a blob, unless another image has brought it."""
        if blob.digest in self._there:
            return
        async with (
            self._slots,
            Download(item.source, blob, transport.retry, self._meter) as download,
            aclosing(download.chunks(blob.size)) as chunks,
        ):
            await writer.write(blob, chunks)
        self._there.add(blob.digest)

    async def _all(
        self, what: str, items: list[BundleItem], works: list[Coroutine[None, None, None]]
    ) -> None:
        """Do all works, whatever becomes of the others; an error of the disk ends all of them."""

        problems: list[str] = []

        async def attempt(item: BundleItem, work: Coroutine[None, None, None]) -> None:
            try:
                await work
            except RegistryError as error:
                self._progress.say(f"FAILED {item.name}: {error}")
                problems.append(f"{item.name}: {error}")

        attempts = zip(items, works, strict=True)
        await all_of([attempt(item, work) for item, work in attempts])
        if problems:
            raise BundleError(f"{len(problems)} of {len(items)} images and charts {what}", sorted(problems))


def _refuse_others(out: Path) -> None:
    """Leave a layout alone that another program made: a bundle removes what it does not need."""
    whole = out if is_archive(out) else out / INDEX_FILE
    if not whole.exists():
        return
    if not any(name.startswith(DATA_FILES) for name in Layout(out).names):
        raise LayoutError(f"{out} is an OCI image layout, and no bundle: name another place")


def _charts(
    transport: Transport, charts: Iterable[ResolvedChart], mappings: DockerMappings
) -> Iterator[BundleItem]:
    """The charts, each once; those of http(s) repositories as the artifacts that a deploy would push."""
    found: dict[str, BundleItem] = {}
    for chart in charts:
        name = str(chart_address(chart.workload, mappings))
        if chart.fetched.source:
            source = Repository(transport, chart.fetched.source)
            found[name] = BundleItem(name, source, chart.fetched.source.identifier)
        else:
            found[name] = BundleItem(name, Content(*chart_content(chart.fetched)), "")
    yield from found.values()


def _sized(items: Iterable[BundleItem]) -> dict[str, Descriptor]:
    """Every blob and manifest by its digest; its place in an archive depends on its one size."""
    everything: dict[str, Descriptor] = {}
    for item in items:
        manifests = (Descriptor("", digest, len(found.raw)) for digest, found in item.manifests.items())
        for blob in (*manifests, *item.blobs):
            if everything.setdefault(blob.digest, blob).size != blob.size:
                raise UserError(f"{item.name}: {blob.digest} has another size in another image")
    return everything


def _index(items: Iterable[BundleItem]) -> bytes:
    # Images of one repository may share an architecture, and so what is attached to it.
    entries = {name: entry for item in items for name, entry in item.entries().items()}
    manifests = [entries[name] for name in sorted(entries)]
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
