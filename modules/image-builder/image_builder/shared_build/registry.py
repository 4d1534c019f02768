"""Reads what a registry holds under a tag (OCI distribution specification), without pulling it."""

import base64
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..shared.ecr import Login
from ..shared.errors import UserError

TIMEOUT = 30  # seconds
NOT_FOUND = 404
MANIFEST_TYPES = ", ".join(
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
)


@dataclass(frozen=True)
class PublishedImage:
    """An image as its registry has it."""

    digest: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Registry:
    """A registry at `base_url`, whose path (if any) stands in front of every repository."""

    base_url: str
    login: Login

    def find(self, repository: str, tag: str) -> PublishedImage | None:
        """The image under the tag; nothing when there is none."""
        manifest = self._get(repository, f"manifests/{tag}")
        if manifest is None:
            return None
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        return PublishedImage(digest, self._labels(repository, json.loads(manifest)))

    def _labels(self, repository: str, manifest: dict[str, Any]) -> dict[str, str]:
        if "config" not in manifest:
            return {}  # an index: someone else's, for we push single images
        config = self._get(repository, f"blobs/{manifest['config']['digest']}")
        labels: dict[str, str] = json.loads(config or b"{}").get("config", {}).get("Labels") or {}
        return labels

    def _get(self, repository: str, what: str) -> bytes | None:
        parts = urlsplit(self.base_url)
        url = f"{parts.scheme}://{parts.netloc}/v2{parts.path}/{repository}/{what}"
        request = urllib.request.Request(url, headers={"Accept": MANIFEST_TYPES})  # noqa: S310 - base_url is http(s)
        # Unredirected: a registry sends a blob's reader on to its storage, which must not see the login.
        request.add_unredirected_header("Authorization", f"Basic {self._basic()}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            raise UserError(f"the registry answered {error.code} {error.reason} to {url}") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise UserError(f"the registry {parts.netloc} could not be read: {reason}") from None

    def _basic(self) -> str:
        return base64.b64encode(f"{self.login.username}:{self.login.password}".encode()).decode()
