"""Uploads whose parts are applied as a whole or not at all, as in Amazon ECR.

What is known of ECR's own uploads, from issues of 2022 to 2026:
- A part is answered with 201 where the specification has 202 (aws/containers-roadmap#2831).
- The Range of that answer stays at the end of the first part, while all parts are kept (same issue).
- GET of an upload's location answers 404 (dotnet/sdk#33019).
- A part at a wrong offset is answered with 416, BLOB_UPLOAD_INVALID and the message "First byte of the
  layer part is 0 instead of 11304960", the only place that tells the true one
  (apple/containerization#790).
- All parts but the last have at least 5 MB (dotnet/sdk-container-builds#424).
"""

import hashlib
import itertools
from dataclasses import dataclass, field

from .exchange import Forward, Reply, RepositoryPath, Request, parse_path

_INVALID = "BLOB_UPLOAD_INVALID"


@dataclass
class _Upload:
    content: bytearray = field(default_factory=bytearray)
    first_part: int = 0
    last_part: int = 0


class AtomicUploads:
    """All uploads that are under way; finished blobs go to the registry behind.

    Args:
        tells_progress: 202, a true Range and an answer to GET, as the specification has it; else as ECR.
        minimum_part: bytes of every part but the last; announced by OCI-Chunk-Min-Length if it is not 0.

    Attributes:
        applied: bytes of parts that were applied.
        refused: bytes of parts that arrived as a whole and were not applied.
    """

    def __init__(self, *, tells_progress: bool, minimum_part: int) -> None:
        self.applied = 0
        self.refused = 0
        self._tells_progress = tells_progress
        self._minimum_part = minimum_part
        self._uploads: dict[str, _Upload] = {}
        self._numbers = itertools.count(1)

    async def __call__(self, request: Request, forward: Forward) -> Reply:
        """As a rule of a `Proxy`: a registry whose parts are atomic, and which is as others otherwise."""
        place = parse_path(request.path)
        if place is None or place.kind != "uploads":
            return await forward(request)
        if place.name:
            return await self.handle(request, place, forward)
        if "mount" in request.query:
            reply = await forward(request)
            if reply.status != 202:
                return reply
            await reply.read()
        return self.begin(place.repository)

    def begin(self, repository: str) -> Reply:
        """A new upload."""
        name = f"upload-{next(self._numbers)}"
        self._uploads[name] = _Upload()
        headers = {"Location": f"/v2/{repository}/blobs/uploads/{name}", "Range": "0-0"}
        if self._minimum_part:
            headers["OCI-Chunk-Min-Length"] = str(self._minimum_part)
        return Reply.of(202, headers)

    async def handle(self, request: Request, place: RepositoryPath, forward: Forward) -> Reply:
        """A request to an upload's location."""
        upload = self._uploads.get(place.name)
        if upload is None:
            return Reply.error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if request.method == "PATCH":
            return await self._part(request, upload)
        if request.method == "PUT":
            return await self._finish(request, place, upload, forward)
        if request.method == "GET" and self._tells_progress:
            return Reply.of(204, _progress(request, len(upload.content)))
        return Reply.error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")

    async def _part(self, request: Request, upload: _Upload) -> Reply:
        content = await request.read()  # a part that breaks off ends here, and nothing of it is kept
        refusal = self._append(request, upload, content)
        if refusal:
            return refusal
        if self._tells_progress:
            return Reply.of(202, _progress(request, len(upload.content)))
        return Reply.of(201, _progress(request, upload.first_part))

    def _append(self, request: Request, upload: _Upload, content: bytes) -> Reply | None:
        first = request.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        begins = int(first) if first.isdigit() else len(upload.content)
        problem = ""
        if begins != len(upload.content):
            problem = f"First byte of the layer part is {begins} instead of {len(upload.content)}"
        elif content and upload.content and upload.last_part < self._minimum_part:
            problem = "All layer parts except the last part should be at least 5MB"
        if problem:
            self.refused += len(content)
            return Reply.error(416, _INVALID, problem)
        upload.content += content
        upload.first_part = upload.first_part or len(content)
        upload.last_part = len(content)
        self.applied += len(content)
        return None

    async def _finish(
        self, request: Request, place: RepositoryPath, upload: _Upload, forward: Forward
    ) -> Reply:
        last = await request.read()
        refusal = self._append(request, upload, last) if last else None
        if refusal:
            return refusal
        digest = request.query.get("digest", "")
        if digest != f"sha256:{hashlib.sha256(upload.content).hexdigest()}":
            message = "None of the provided layer digests match the calculated layer digest"
            return Reply.error(400, _INVALID, message)
        host = request.headers.get("Host", "")
        begun = await forward(Request.own("POST", f"/v2/{place.repository}/blobs/uploads/", host))
        await begun.read()
        location = begun.headers["Location"].partition(host)[2]
        stored = await forward(Request.own("PUT", f"{location}&digest={digest}", host, bytes(upload.content)))
        del self._uploads[place.name]
        return stored


def _progress(request: Request, size: int) -> dict[str, str]:
    return {"Location": request.path, "Range": f"0-{max(0, size - 1)}"}
