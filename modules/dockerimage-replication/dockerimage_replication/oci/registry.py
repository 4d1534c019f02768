"""The verbs of one repository of a registry (OCI distribution-spec)."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from yarl import URL

from .authenticator import Scopes
from .digest import is_digest, verified
from .errors import DigestMismatch, NotFound, RegistryError, Unavailable
from .manifests import ACCEPT, SIZE_LIMIT, Descriptor, Manifest, parse_manifest
from .reference import Reference
from .transport import CHUNK, Answer, Request, Transport, resolve

_MONOLITHIC_LIMIT = CHUNK  # bytes of a blob that is uploaded from memory in one request
_TAG_PAGE = 1000  # tags asked for at a time
_BINARY = "application/octet-stream"
_NEXT_LINK = re.compile(r'\s*<(?P<url>[^>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)


@dataclass(frozen=True)
class Upload:
    """An upload that a registry has begun; it ends with `Repository.upload_blob`.

    Attributes:
        location: where its content goes.
    """

    location: URL


class Repository:
    """One repository; all methods raise a RegistryError typed by what the caller can do.

    Args:
        transport: how it is reached.
        reference: names registry and repository; its tag and digest play no role.
    """

    def __init__(self, transport: Transport, reference: Reference) -> None:
        self._transport = transport
        self._endpoint = transport.endpoint(reference.registry)
        self._path = f"{self._endpoint.prefix}{reference.repository}"
        self.registry = reference.registry
        self.repository = reference.repository

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}"

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

        Raises:
            NotFound: there is no such manifest, or no such repository.
            DigestMismatch: its bytes have not the digest that was asked for or that the registry names.
            InvalidManifest: it is not a manifest that this client knows, or larger than 4 MiB.
        """
        answer = await self._transport.request(self._read("GET", "manifests", identifier))
        stated = answer.headers.get("Docker-Content-Digest", "")
        expected = identifier if is_digest(identifier) else stated if is_digest(stated) else None
        return parse_manifest(
            answer.body,
            content_type=answer.headers.get("Content-Type", ""),
            subject=self._subject(identifier),
            expected_digest=expected,
        )

    async def put_manifest(self, manifest: Manifest, identifier: str) -> None:
        """Write a manifest, its bytes unchanged, by tag or by digest (Pushing manifests).

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
            )
        )
        self._check_stored(answer, manifest.digest)

    async def blob_exists(self, digest: str) -> bool:
        """Whether the repository has a blob (Pulling blobs, HEAD)."""
        try:
            await self._transport.request(self._read("HEAD", "blobs", digest))
        except NotFound:
            return False
        return True

    async def open_blob(self, blob: Descriptor) -> AsyncGenerator[bytes, None]:
        """The content of a blob in chunks of at most 1 MiB (Pulling blobs), requested at the first one.

        Raises:
            NotFound: the repository has no such blob.
            DigestMismatch: its content or size is not that of the descriptor; raised at the end, so
                nothing made from the chunks may be kept before.
            Unavailable: the connection broke; the iteration cannot go on.
        """
        request = self._read("GET", "blobs", blob.digest)
        async with self._transport.stream(request) as response:
            chunks = response.content.iter_chunked(CHUNK)
            async for chunk in verified(chunks, blob.digest, blob.size, request.subject):
                yield chunk

    async def mount_blob(self, digest: str, source: str) -> Upload | None:
        """Take a blob over from the repository `source` of this registry (Mounting a blob).

        Returns:
            None when it is mounted; else the upload that the registry began in its place.
        """
        path = f"{self._endpoint.prefix}{source}"
        url = self._url(f"blobs/uploads/?mount={quote(digest, safe='')}&from={quote(path, safe='')}")
        answer = await self._transport.request(self._write("POST", url, digest, source=path))
        if answer.status == HTTPStatus.CREATED:
            return None
        return Upload(self._location(answer))

    async def upload_blob(
        self, blob: Descriptor, chunks: AsyncIterator[bytes], upload: Upload | None = None
    ) -> None:
        """Write a blob (Pushing blobs): in one PUT up to 1 MiB, else as a stream (PATCH) and a PUT.

        Args:
            blob: digest and size of the content.
            chunks: the content; it must fail rather than end early.
            upload: one that the registry has begun already.

        Raises:
            Unavailable: the upload broke off; it can be tried again with a new stream.
            RegistryError: an error of `chunks`, unchanged.
        """
        if blob.size <= _MONOLITHIC_LIMIT:
            content = b"".join([chunk async for chunk in chunks])
            upload = upload or await self._begin_upload(blob)
            await self._finish_upload(upload.location, blob, content)
            return
        upload = upload or await self._begin_upload(blob)
        request = self._write(
            "PATCH",
            upload.location,
            blob.digest,
            headers={"Content-Type": _BINARY, "Content-Length": str(blob.size)},
            body=chunks,
        )
        answer = await self._in_upload(request)
        await self._finish_upload(self._location(answer), blob, b"")

    async def list_tags(self) -> list[str]:
        """All tags of the repository (Listing tags), page by page.

        Raises:
            NotFound: there is no such repository.
            RegistryError: the registry sends something else, or the same page again and again.
        """
        tags: list[str] = []
        url: URL | None = self._url(f"tags/list?n={_TAG_PAGE}")
        seen: set[URL] = set()
        while url is not None:
            if url in seen:
                raise RegistryError(f"{self}: the registry repeats its list of tags")
            seen.add(url)
            answer = await self._transport.request(
                Request("GET", url, self._endpoint, self._scopes("pull"), str(self))
            )
            tags += self._tags(answer)
            url = self._next_page(answer)
        return tags

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

    async def _begin_upload(self, blob: Descriptor) -> Upload:
        request = self._write("POST", self._url("blobs/uploads/"), blob.digest)
        return Upload(self._location(await self._transport.request(request)))

    async def _finish_upload(self, location: URL, blob: Descriptor, content: bytes) -> None:
        separator = "&" if location.raw_query_string else "?"
        answer = await self._in_upload(
            self._write(
                "PUT",
                URL(f"{location}{separator}digest={quote(blob.digest, safe='')}", encoded=True),
                blob.digest,
                headers={"Content-Type": _BINARY},
                body=content,
            )
        )
        self._check_stored(answer, blob.digest)

    async def _in_upload(self, request: Request) -> Answer:
        """Send a request of an upload; one that the registry has lost can be begun anew."""
        try:
            return await self._transport.request(request)
        except NotFound:
            raise Unavailable(f"{request.subject}: the registry has lost the upload") from None

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
        return URL(f"{self._endpoint.origin}/v2/{self._path}/{path}", encoded=True)

    def _subject(self, identifier: str) -> str:
        return f"{self}{'@' if is_digest(identifier) else ':'}{identifier}"

    def _scopes(self, actions: str) -> Scopes:
        return (f"repository:{self._path}:{actions}",)

    def _read(self, method: str, path: str, identifier: str) -> Request:
        return Request(
            method,
            self._url(f"{path}/{identifier}"),
            self._endpoint,
            self._scopes("pull"),
            self._subject(identifier),
            headers={"Accept": ACCEPT} if path == "manifests" else {},
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
    ) -> Request:
        mounted = (f"repository:{source}:pull",) if source else ()
        return Request(
            method,
            url,
            self._endpoint,
            self._scopes("pull,push") + mounted,
            self._subject(identifier),
            headers=headers or {},
            body=body,
        )
