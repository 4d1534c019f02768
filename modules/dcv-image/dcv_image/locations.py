"""Where a file comes from: an https address, an object in S3, or a file inside the module.

An isolated network reaches only the last two, or a mirror.
"""

import hashlib
import http.client
import re
import shutil
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from .shared.endpoints import is_loopback
from .shared.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TIMEOUT = 60  # seconds without a byte
CHUNK = 1 << 20  # bytes
SHA256 = re.compile(r"[0-9a-f]{64}")


def checked_location(value: str) -> str:
    """The location, when it has one of the three forms.

    Raises:
        ValueError: it has not; the message is without credentials that the value may hold.
    """
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise ValueError("must not hold credentials: they would be seen in logs")
    if parts.scheme == "s3" and parts.netloc and parts.path.strip("/"):
        return value
    if parts.scheme == "https" and parts.netloc:
        return value
    if parts.scheme == "http" and is_loopback(parts.netloc):
        return value
    path = PurePosixPath(value)
    if not parts.scheme and value and not path.is_absolute() and ".." not in path.parts:
        return value
    raise ValueError(
        f"must be an https address, s3://bucket/key, or the path of a file inside the module, not {value!r}"
    )


@dataclass(frozen=True)
class Source:
    """Fetches files for one build.

    Attributes:
        module: the module's folder, which relative paths start from.
        s3: reads objects.
    """

    module: Path
    s3: "S3Client"

    def fetch(self, location: str, target: Path, parameter: str, sha256: str | None = None) -> None:
        """Write the file at `location` to `target`, and compare its checksum.

        Args:
            location: what `checked_location` lets through.
            target: the file to write; its folder exists.
            parameter: manifest parameter that the location comes from, for messages.
            sha256: what the content must hash to; None when the caller verifies it in another way.

        Raises:
            UserError: it cannot be had, or is not what it should be. There is no file then.
        """
        try:
            self._fetch(location, target)
        except (OSError, http.client.HTTPException, ClientError, BotoCoreError) as error:
            target.unlink(missing_ok=True)
            raise UserError(
                f"manifest parameter `{parameter}`: {location} cannot be read: {_reason(error)}"
            ) from None
        if sha256 is None:
            return
        with target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            target.unlink()
            raise UserError(
                f"manifest parameter `{parameter}-sha256`: {location} has the SHA-256 {found}, not {sha256}: "
                "it is another file, or was changed on its way"
            )

    def _fetch(self, location: str, target: Path) -> None:
        parts = urlsplit(location)
        if parts.scheme == "s3":
            body = self.s3.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"]
            with closing(body), target.open("wb") as file:
                shutil.copyfileobj(body, file, CHUNK)
        elif parts.scheme:
            with urllib.request.urlopen(location, timeout=TIMEOUT) as answer, target.open("wb") as file:  # noqa: S310 - checked
                shutil.copyfileobj(answer, file, CHUNK)
        else:
            shutil.copyfile(self.module / location, target)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    if isinstance(error, FileNotFoundError):
        return "there is no such file in the module"
    return str(getattr(error, "reason", error))
