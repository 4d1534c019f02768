"""The verbs of one repository of a registry (OCI distribution-spec)."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote

from yarl import URL

from .authenticator import Scopes
from .digest import is_digest
from .download import WRONG_CONTENT
from .errors import DigestMismatch, InvalidManifest, NotFound, RegistryError, Retryable, Unavailable
from .limiter import Lane
from .manifests import ACCEPT, OCI_INDEX, SIZE_LIMIT, Descriptor, Manifest, parse_manifest
from .reference import Reference
from .transport import Answer, Request, Transport, resolve

_STORING_RATE = 20_000_000  # bytes a second at which a registry surely stores what it was sent
_MOST_PAGES = 1000  # of a list
_TAG_PAGE = 1000  # tags asked for at a time
_BINARY = "application/octet-stream"
_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(\d+|\*)")  # RFC 9110, 14.4
_UPLOADED = re.compile(r"(bytes=)?0-(?P<last>\d+)")  # the Range header of an upload's state
# What ECR says to a part at a wrong offset, and nowhere else (apple/containerization#790).
_RIGHT_OFFSET = re.compile(r"First byte of the layer part is \d+ instead of (?P<offset>\d+)")
_SHORT_NUMBER = re.compile(r"[0-9]{1,18}")
_NEXT_LINK = re.compile(r'\s*<(?P<url>[^>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)


@dataclass(frozen=True)
class Upload:
    """An upload that a registry has begun.

    Attributes:
        location: where its next content goes.
        offset: bytes that the registry has.
        least: bytes that each part but the last has to have (OCI-Chunk-Min-Length), 0 for any number.
    """

    location: URL
    offset: int = 0
    least: int = 0


class Repository:
    """One repository; all methods raise a RegistryError typed by what the caller can do.

    Args:
        transport: how it is reached.
        reference: names registry and repository; its tag and digest play no role.

    Attributes:
        endpoint: where its registry is reached.
        registry: host of the registry, as references have it.
        repository: name in the registry.
    """

    def __init__(self, transport: Transport, reference: Reference) -> None:
        self._transport = transport
        self.endpoint = transport.endpoint(reference.registry)
        self._path = f"{self.endpoint.prefix}{reference.repository}"
        self.registry = reference.registry
        self.repository = reference.repository

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def is_ecr(self) -> bool:
        """Whether the registry is Amazon ECR, with its own rules about mounts."""
        return self.endpoint.is_ecr

    async def head_manifest(self, identifier: str) -> str:
        """The digest of a manifest, by tag or digest (Pulling manifests, HEAD).

        Raises:
            NotFound: there is no such manifest, or no such repository.
        """
        answer = await self._transport.request(self._read("HEAD", "manifests", identifier))
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not is_digest(digest):
            return (await self.get_manifest(identifier)).digest
        return digest

    async def find_manifest(self, identifier: str) -> str | None:
        """The digest of a manifest, by tag or digest; None when it, or the repository, is not there."""
        try:
            return await self.head_manifest(identifier)
        except NotFound:
            return None

    async def has_manifest(self, descriptor: Descriptor) -> bool:
        """Whether the registry has a manifest and serves it as what it is.

        A registry may still find the bytes of a manifest whose repository was deleted and have forgotten
        its media type; engines refuse such an image.
        """
        try:
            answer = await self._transport.request(self._read("HEAD", "manifests", descriptor.digest))
        except NotFound:
            return False
        served_as = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return served_as in ("", descriptor.media_type)

    async def get_manifest(self, identifier: str) -> Manifest:
        """A manifest or index, by tag or digest (Pulling manifests).

        One that comes as other content is asked for again: proxies corrupt single answers.

        Raises:
            NotFound: there is no such manifest, or no such repository.
            DigestMismatch: its bytes have not the digest that was asked for or that the registry names.
            InvalidManifest: it is not a manifest that this client knows, or larger than 4 MiB.
        """
        for _ in range(WRONG_CONTENT - 1):
            with suppress(DigestMismatch):
                return await self._get_manifest(identifier)
        return await self._get_manifest(identifier)

    async def _get_manifest(self, identifier: str) -> Manifest:
        answer = await self._transport.request(self._read("GET", "manifests", identifier))
        stated = answer.headers.get("Docker-Content-Digest", "")
        expected = identifier if is_digest(identifier) else stated if is_digest(stated) else None
        return parse_manifest(
            answer.body,
            content_type=answer.headers.get("Content-Type", ""),
            subject=self._subject(identifier),
            expected_digest=expected,
        )

    async def get_referrers(self, digest: str) -> list[bytes]:
        """The index of what refers to a manifest (Listing referrers), page by page.

        Raises:
            RegistryError: among others, the registry does not have this API (404, 405, or no index).
        """
        answers = await self._pages(self._read("GET", "referrers", digest))
        if answers[0].headers.get("Content-Type", "").partition(";")[0].strip() != OCI_INDEX:
            raise RegistryError(f"{self}: the registry sent no index of referrers")
        return [answer.body for answer in answers]

    async def put_manifest(self, manifest: Manifest, identifier: str) -> bool:
        """Write a manifest, its bytes unchanged, by tag or by digest (Pushing manifests).

        Returns:
            Whether the registry keeps the list of referrers by itself (OCI-Subject).

        Raises:
            DigestMismatch: the registry stored it under another digest.
            RegistryError: it refers to content that the registry has not got, for instance.
        """
        answer = await self._transport.request(
            self._write(
                "PUT",
                self._url(f"manifests/{identifier}"),
                identifier,
                headers={"Content-Type": manifest.media_type},
                body=manifest.raw,
                lane=Lane.MANIFEST,
            )
        )
        self._check_stored(answer, manifest.digest)
        return "OCI-Subject" in answer.headers

    async def blob_exists(self, digest: str) -> bool:
        """Whether the repository has a blob (Pulling blobs, HEAD)."""
        try:
            await self._transport.request(self._read("HEAD", "blobs", digest))
        except NotFound:
            return False
        return True

    async def read_blob(self, blob: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        """The content of a blob from byte `start` on, as it comes: whoever reads it verifies it.

        Raises:
            NotFound: the repository has no such blob.
            DigestMismatch: it has another size.
            Unavailable: the connection broke; the iteration cannot go on.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        request = self._read("GET", "blobs", blob.digest, headers=headers)
        async with self._transport.stream(request) as response:
            length = response.headers.get("Content-Length", "")
            if response.status == HTTPStatus.OK and length.isdigit() and int(length) != blob.size:
                raise DigestMismatch(
                    f"{request.subject}: the registry has {length} bytes, its descriptor says {blob.size}"
                )
            skip = start - _first_byte(response.status, response.headers.get("Content-Range", ""))
            if skip < 0:
                raise Unavailable(f"{request.subject}: the registry sent another part of the content")
            async with aclosing(response.chunks()) as chunks:
                async for chunk in chunks:
                    if len(chunk) > skip:
                        yield chunk[skip:] if skip else chunk
                    skip = max(0, skip - len(chunk))

    async def mount_blob(self, digest: str, source: str) -> Upload | None:
        """Take a blob over from the repository `source` of this registry (Mounting a blob).

        Returns:
            None when it is mounted; else the upload that the registry began in its place.
        """
        path = f"{self.endpoint.prefix}{source}"
        url = self._url(f"blobs/uploads/?mount={quote(digest, safe='')}&from={quote(path, safe='')}")
        answer = await self._transport.request(self._write("POST", url, digest, source=path))
        if answer.status == HTTPStatus.CREATED:
            return None
        return self._upload(answer, 0)

    async def begin_upload(self, blob: Descriptor) -> Upload:
        """Begin an upload (Pushing blobs, POST)."""
        request = self._write("POST", self._url("blobs/uploads/"), blob.digest)
        return self._upload(await self._transport.request(request), 0)

    async def append(
        self, upload: Upload, blob: Descriptor, chunks: AsyncIterator[bytes], end: int
    ) -> Upload:
        """Send the content from the upload's offset to byte `end`, exclusively (PATCH).

        Returns:
            The upload as it goes on; nothing may have been added to what the registry had already.

        Raises:
            RegistryError: the part may have arrived, whole or in parts: `find_upload` tells.
            Exception: what `chunks` raises, unchanged.
        """
        headers = {"Content-Type": _BINARY, "Content-Length": str(end - upload.offset)}
        if upload.offset or end < blob.size:
            headers["Content-Range"] = f"{upload.offset}-{end - 1}"
        request = self._write("PATCH", upload.location, blob.digest, headers=headers, body=chunks)
        try:
            answer = await self._transport.request(request)
        except RegistryError as error:
            right = _right_offset(error)
            if upload.offset < right <= blob.size:
                return replace(upload, offset=right)
            raise
        return self._upload(answer, end, upload.least)

    async def find_upload(self, upload: Upload, blob: Descriptor) -> Upload | None:
        """Where an upload stands at the registry (GET on its location); None when it is lost.

        ECR answers 404 (dotnet/sdk#33019) and tells the Range of the first part only
        (aws/containers-roadmap#2831): there the next part finds out.
        """
        if self.is_ecr:
            return upload
        request = Request(
            "GET",
            upload.location,
            self.endpoint,
            self._scopes("pull,push"),
            self._subject(blob.digest),
        )
        try:
            answer = await self._transport.request(request)
        except Retryable:
            raise
        except RegistryError:
            return None  # whatever the reason, it cannot be gone on with
        stands = _UPLOADED.fullmatch(answer.headers.get("Range", ""))
        if stands is None or int(stands["last"]) >= blob.size:
            return None
        # Registries say 0-0 for nothing and for one byte: then it is begun anew.
        offset = int(stands["last"]) + 1
        if offset == 1:
            return None
        here = Upload(upload.location, offset, upload.least)
        return self._upload(answer, offset, upload.least) if "Location" in answer.headers else here

    async def finish_upload(self, upload: Upload, blob: Descriptor, content: bytes = b"") -> None:
        """End an upload, with the last of its content (PUT); the registry verifies the digest."""
        separator = "&" if upload.location.raw_query_string else "?"
        answer = await self._transport.request(
            self._write(
                "PUT",
                URL(f"{upload.location}{separator}digest={quote(blob.digest, safe='')}", encoded=True),
                blob.digest,
                headers={"Content-Type": _BINARY},
                body=content,
                patience=self._transport.idle_timeout + blob.size / _STORING_RATE,
            )
        )
        self._check_stored(answer, blob.digest)

    async def cancel_upload(self, upload: Upload, blob: Descriptor) -> None:
        """Have the registry forget an upload (DELETE); one that cannot is not asked again."""
        with suppress(RegistryError):
            await self._transport.request(self._write("DELETE", upload.location, blob.digest))

    async def list_tags(self) -> list[str]:
        """All tags of the repository (Listing tags), page by page.

        Raises:
            NotFound: there is no such repository.
            RegistryError: the registry sends something else, or the same page again and again.
        """
        url = self._url(f"tags/list?n={_TAG_PAGE}")
        pages = await self._pages(Request("GET", url, self.endpoint, self._scopes("pull"), str(self)))
        return [tag for page in pages for tag in self._tags(page)]

    async def _pages(self, request: Request) -> list[Answer]:
        """An answer and those that its Link header leads to."""
        answers: list[Answer] = []
        seen: set[URL] = set()
        url: URL | None = request.url
        while url is not None:
            if url in seen or len(seen) == _MOST_PAGES:
                raise InvalidManifest(f"{request.subject}: the registry repeats its list, or it has no end")
            seen.add(url)
            answers.append(await self._transport.request(replace(request, url=url)))
            url = self._next_page(answers[-1])
        return answers

    def _tags(self, answer: Answer) -> list[str]:
        try:
            tags = json.loads(answer.body)["tags"] or []
            if all(isinstance(tag, str) for tag in tags):
                return list(tags)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise RegistryError(f"{self}: the registry sent something that is no list of tags")

    def _next_page(self, answer: Answer) -> URL | None:
        link = _NEXT_LINK.match(answer.headers.get("Link", ""))
        return resolve(answer.url, link["url"], str(self)) if link else None

    def _upload(self, answer: Answer, offset: int, least: int = 0) -> Upload:
        """An upload as an answer tells it; only the first one has to say how long parts are at least."""
        stated = answer.headers.get("OCI-Chunk-Min-Length", "")
        known = int(stated) if _SHORT_NUMBER.fullmatch(stated) else least
        return Upload(self._location(answer), offset, known)

    def _location(self, answer: Answer) -> URL:
        """The Location of an upload, relative or absolute."""
        location = answer.headers.get("Location")
        if location is None:
            raise RegistryError(f"{self}: the registry began an upload and named no location")
        return resolve(answer.url, location, str(self))

    def _check_stored(self, answer: Answer, digest: str) -> None:
        stored = answer.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise DigestMismatch(f"{self._subject(digest)}: the registry stored it as {stored[:150]}")

    def _url(self, path: str) -> URL:
        return URL(f"{self.endpoint.origin}/v2/{self._path}/{path}", encoded=True)

    def _subject(self, identifier: str) -> str:
        return f"{self}{'@' if is_digest(identifier) else ':'}{identifier}"

    def _scopes(self, actions: str) -> Scopes:
        return (f"repository:{self._path}:{actions}",)

    def _read(
        self, method: str, path: str, identifier: str, *, headers: Mapping[str, str] | None = None
    ) -> Request:
        return Request(
            method,
            self._url(f"{path}/{identifier}"),
            self.endpoint,
            self._scopes("pull"),
            self._subject(identifier),
            lane=Lane.TRANSFER if (method, path) == ("GET", "blobs") else Lane.READ,
            headers=headers or ({"Accept": ACCEPT} if path == "manifests" else {}),
            answer_limit=SIZE_LIMIT + 1,
        )

    def _write(
        self,
        method: str,
        url: URL,
        identifier: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] | None = None,
        source: str | None = None,
        lane: Lane = Lane.WRITE,
        patience: float | None = None,
    ) -> Request:
        mounted = (f"repository:{source}:pull",) if source else ()
        return Request(
            method,
            url,
            self.endpoint,
            self._scopes("pull,push") + mounted,
            self._subject(identifier),
            lane=lane,
            headers=headers or {},
            body=body,
            patience=patience,
        )


def _first_byte(status: int, content_range: str) -> int:
    """The byte that an answer begins with; a server may answer a request for a part with everything."""
    found = _CONTENT_RANGE.fullmatch(content_range)
    return int(found["start"]) if status == HTTPStatus.PARTIAL_CONTENT and found else 0


def _right_offset(error: RegistryError) -> int:
    """The bytes that a registry has, from its refusal of a part at another offset; 0 without."""
    told = (
        _RIGHT_OFFSET.search(str(error))
        if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        else None
    )
    return int(told["offset"]) if told else 0
