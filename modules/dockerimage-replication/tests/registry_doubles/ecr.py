"""A registry with the rules of Amazon ECR, in front of docker-registry.

Sources: the error texts and the 5 MB are those of the ECR API reference and of users' reports; see also
`uploads`. An expired token of a private registry is answered with 403 and DENIED without a challenge
(flipt-io/flipt#3043, argoproj/argo-cd#12554), one of ECR Public with 400 (aws/containers-roadmap#2835),
a missing one with 401 and a Basic challenge. An immutable tag cannot even be written again as it is
(aws/containers-roadmap#2380). PutImage is limited to 10 a second by default (containerd#10447).
"""

import base64
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .exchange import Forward, Reply, RepositoryPath, Request, parse_path
from .uploads import AtomicUploads

_EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


@dataclass
class EcrTokens:
    """Passwords of the user AWS, as GetAuthorizationToken gives them.

    Attributes:
        uses: requests that each is good for; time plays no role, so that runs can be repeated.
        expired_status: what an expired one is answered with: 403, 400 for ECR Public, or 401.
        issued: how many there were so far.
    """

    uses: int
    expired_status: int = 403
    issued: int = 0
    _left: dict[str, int] = field(default_factory=dict)

    def issue(self) -> str:
        """A new one."""
        self.issued += 1
        token = f"ecr-token-{self.issued}"
        self._left[token] = self.uses
        return token

    def refusal(self, request: Request) -> Reply | None:
        """What a request without a good one is answered with."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        challenge = {"WWW-Authenticate": 'Basic realm="https://ecr.test/",service="ecr.amazonaws.com"'}
        if scheme != "Basic":
            return Reply.error(401, "UNAUTHORIZED", "Not Authorized", challenge)
        user, _, token = base64.b64decode(encoded).decode().partition(":")
        if user != "AWS" or token not in self._left:
            return Reply.error(401, "DENIED", "Not Authorized", challenge)
        if self._left[token] == 0:
            expired = challenge if self.expired_status == 401 else {}
            return Reply.error(self.expired_status, "DENIED", _EXPIRED, expired)
        self._left[token] -= 1
        return None


class Rate:
    """So many in a second, and as many at once.

    Args:
        per_second: how many.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._at = time.monotonic()

    def allows(self) -> bool:
        """Take one, if there is one."""
        now = time.monotonic()
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class Ecr:
    """The rules; an object of this class is a rule of a `Proxy`.

    Attributes:
        repositories: those that exist; None for all.
        tokens: with it, every request needs one.
        put_image: how often a manifest may be written.
        immutable: whether tags can be written once only.
        refuses_subjects: whether manifests with a `subject` are refused (405), as some accounts see it
            (aws/containers-roadmap#2783).
        uploads: how blobs arrive.
    """

    repositories: set[str] | None = None
    tokens: EcrTokens | None = None
    put_image: Rate = field(default_factory=lambda: Rate(10))
    immutable: bool = False
    refuses_subjects: bool = False
    uploads: AtomicUploads = field(
        default_factory=lambda: AtomicUploads(tells_progress=False, minimum_part=0)
    )
    _referred: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    async def __call__(self, request: Request, forward: Forward) -> Reply:
        refusal = self.tokens.refusal(request) if self.tokens else None
        if refusal:
            return refusal
        place = parse_path(request.path)
        if place is None:
            return await forward(request)
        if self.repositories is not None and place.repository not in self.repositories:
            return Reply.error(
                404, "NAME_UNKNOWN", f"The repository with name '{place.repository}' does not exist"
            )
        if place.kind == "referrers":
            return Reply.error(405, "UNSUPPORTED", "The operation is unsupported.")
        if place.kind == "uploads":
            return await self._upload(request, place, forward)
        if place.kind == "manifests" and request.method == "PUT":
            return await self._put_image(request, place, forward)
        return await forward(request)

    async def _upload(self, request: Request, place: RepositoryPath, forward: Forward) -> Reply:
        if place.name:
            return await self.uploads.handle(request, place, forward)
        digest, origin = request.query.get("mount"), request.query.get("from", "")
        if digest and digest in self._referred[origin]:
            return await forward(request)
        return self.uploads.begin(place.repository)

    async def _put_image(self, request: Request, place: RepositoryPath, forward: Forward) -> Reply:
        raw = await request.read()
        if not self.put_image.allows():
            return Reply.error(429, "TOOMANYREQUESTS", "Rate exceeded")
        manifest = json.loads(raw)
        if self.refuses_subjects and "subject" in manifest:
            return Reply.error(405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest'")
        host = request.headers.get("Host", "")
        is_tag = ":" not in place.name
        if self.immutable and is_tag and await _exists(request.path, host, forward):
            return Reply.error(
                400,
                "TAG_INVALID",
                f"The image tag '{place.name}' already exists in the '{place.repository}' repository and "
                "cannot be overwritten because the repository is immutable.",
            )
        whole = Request.own("PUT", request.target, host, raw)
        whole.headers["Content-Type"] = request.headers.get("Content-Type", "")
        reply = await forward(whole)
        if reply.status == 201:
            self._referred[place.repository] |= set(_digests(manifest))
        return reply


async def _exists(path: str, host: str, forward: Forward) -> bool:
    looked = Request.own("HEAD", path, host)
    looked.headers["Accept"] = (
        "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
        "application/vnd.docker.distribution.manifest.list.v2+json, "
        "application/vnd.docker.distribution.manifest.v2+json"
    )
    reply = await forward(looked)
    await reply.read()
    return reply.status == 200


def _digests(manifest: dict[str, object]) -> Iterable[str]:
    layers = manifest.get("layers", [])
    blobs = [manifest.get("config"), *(layers if isinstance(layers, list) else [])]
    return [str(blob["digest"]) for blob in blobs if isinstance(blob, dict)]
