"""Uploaded files in a folder, which several processes and machines may share.

    <owner>/<digest>              a complete file
    <owner>/<digest>.<size>.part  one that is being sent; what it has is where the next part begins
    lent-…/<digest>               a second name (hard link) for as long as a build uses it

There is nothing beside the files: whatever a killed process leaves is an upload that goes on. Digests
stand without `sha256:`.
"""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..layers.local_files import digest_of_file
from ..locks import Lock, closed_gate, left_overs, own_folder
from ..service_settings import ServiceSettings
from .errors import QuotaError, UploadConflictError, UploadNotFoundError, WrongDigestError

MOST = 10_000  # uploads of one owner
_ALGORITHM = "sha256:"
_LENT = "lent-"
_PART = ".part"


@dataclass(frozen=True)
class UploadLimits:
    """What uploads may take.

    Attributes:
        owner: bytes of one owner's uploads, complete or not.
        total: bytes of all.
        age: time since the last use after which one is removed.
    """

    owner: int
    total: int
    age: timedelta


@dataclass(frozen=True)
class Upload:
    """How far an upload is.

    Attributes:
        digest: `sha256:…` of the whole file.
        size: bytes of the whole file.
        offset: bytes that are there.
        complete: whether it can be used.
        used: when it was last used, in seconds since 1970.
    """

    digest: str
    size: int
    offset: int
    complete: bool
    used: float


class Receiving:
    """An upload that takes a part: nobody else writes to it meanwhile. Closing it keeps what has come."""

    def __init__(self, lock: Lock, upload: Upload) -> None:
        self._lock = lock
        self._file = lock.path.open("r+b", buffering=0)
        self._file.seek(upload.offset)
        self._left = upload.size - upload.offset
        self._begin = upload.offset

    def write(self, data: bytes) -> None:
        """Take more.

        Raises:
            UploadConflictError: that is more than the whole file has; nothing of this part is kept.
        """
        self._left -= len(data)
        if self._left < 0:
            self._file.truncate(self._begin)
            raise UploadConflictError("the part goes beyond the end of the file", self._begin)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def close(self) -> None:
        """Let others go on."""
        self._file.close()
        self._lock.release()


class UploadStore:
    """The uploads below a folder.

    Args:
        folder: where they are; made when it is needed.
        limits: what they may take.
    """

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self._folder = folder
        self._limits = limits

    @classmethod
    def of(cls, settings: ServiceSettings) -> "UploadStore":
        """The uploads of a service."""
        limits = UploadLimits(settings.upload_user_bytes, settings.upload_total_bytes, settings.upload_age)
        return cls(settings.upload_dir, limits)

    def begin(self, owner: uuid.UUID, digest: str, size: int) -> Upload:
        """Begin an upload, or find how far it is.

        Raises:
            QuotaError: there is no room for it.
            UploadConflictError: it was begun with another size.
        """
        with closed_gate(self._folder):
            with contextlib.suppress(UploadNotFoundError):
                path, upload = self._find(owner, digest)
                if upload.size != size:
                    message = f"the upload was begun with {upload.size} bytes: delete it, or send these"
                    raise UploadConflictError(message, upload.offset)
                os.utime(path)
                return upload
            self._must_have_room(owner, size)
            place = self._folder / str(owner)
            place.mkdir(exist_ok=True, mode=0o700)
            path = place / f"{_name(digest)}.{size}{_PART}"
            path.touch(mode=0o600)
        return _described(path)

    def get(self, owner: uuid.UUID, digest: str) -> Upload:
        """How far an upload is.

        Raises:
            UploadNotFoundError: the owner has none.
        """
        return self._find(owner, digest)[1]

    def all_of(self, owner: uuid.UUID) -> list[Upload]:
        """An owner's uploads, by digest."""
        found = [_existing(path) for path in _files(self._folder / str(owner))]
        return sorted((upload for upload in found if upload), key=lambda upload: upload.digest)

    def receive(self, owner: uuid.UUID, digest: str, offset: int) -> Receiving:
        """Have a part written.

        Raises:
            UploadNotFoundError: the owner has none.
            UploadConflictError: the part begins elsewhere, another one is being written, or all is there.
        """
        lock, upload = self._locked(owner, digest)
        try:
            if upload.offset != offset:
                raise UploadConflictError(
                    f"the next part begins at {upload.offset}, not at {offset}", upload.offset
                )
            return Receiving(lock, upload)
        except BaseException:
            lock.release()
            raise

    def complete(self, owner: uuid.UUID, digest: str) -> Upload:
        """Verify what has come, and keep it; blocks while it is read.

        Raises:
            UploadNotFoundError: the owner has none.
            UploadConflictError: not all of it is there, or a part is being written.
            WrongDigestError: it is something else.
        """
        upload = self.get(owner, digest)
        if upload.complete:
            return upload
        lock, upload = self._locked(owner, digest)
        try:
            if upload.offset != upload.size:
                message = f"{upload.offset} of {upload.size} bytes are there: send the rest"
                raise UploadConflictError(message, upload.offset)
            found = _verified(lock.path)
            if found != digest:
                lock.path.unlink()
                raise WrongDigestError(f"what was sent has the digest {found}; it is removed: begin anew")
            target = lock.path.with_name(_name(digest))
            lock.path.rename(target)
            return _described(target)
        finally:
            lock.release()

    def remove(self, owner: uuid.UUID, digest: str) -> None:
        """Remove an upload; builds that have begun keep what they use.

        Raises:
            UploadNotFoundError: the owner has none.
            UploadConflictError: a part is being written, or what has come is being verified.
        """
        while True:
            path, upload = self._find(owner, digest)
            try:
                lock = Lock(path)
            except BlockingIOError:
                raise UploadConflictError(_BUSY, upload.offset) from None
            except FileNotFoundError:
                continue  # it has just become complete, or has gone
            try:
                path.unlink()
                return
            finally:
                lock.release()

    def must_be_there(self, owner: uuid.UUID, digests: Iterable[str]) -> None:
        """Find the files of a request, before somebody waits for it; they count as used.

        Raises:
            UploadNotFoundError: one is not there, or not complete.
        """
        for digest in digests:
            self._used(owner, digest)

    @contextlib.contextmanager
    def lent(self, owner: uuid.UUID, digests: Iterable[str]) -> Iterator[Path]:
        """A folder with files by their digests, for as long as the block lasts.

        Raises:
            UploadNotFoundError: one is not there, or not complete.
        """
        lock = own_folder(self._folder, _LENT)
        try:
            for digest in digests:
                self._used(owner, digest, lock.path / _name(digest))
            yield lock.path
        finally:
            shutil.rmtree(lock.path, ignore_errors=True)
            lock.release()

    def tidy(self) -> int:
        """Remove what was not used for too long, and what killed builds have left; the bytes that went."""
        for folder in left_overs(self._folder, _LENT):
            shutil.rmtree(folder, ignore_errors=True)
        gone, until = 0, time.time() - self._limits.age.total_seconds()
        if self._folder.is_dir():
            with closed_gate(self._folder):
                for path in self._everything():
                    gone += _removed_if_older(path, until)
        return gone

    def used(self) -> int:
        """Bytes of all uploads: announced ones, and removed ones that builds still use, included."""
        sizes = {}  # by inode: builds give files a second name
        for path in [*self._in_use(), *self._everything()]:
            with contextlib.suppress(FileNotFoundError):
                sizes[path.stat().st_ino] = _described(path).size
        return sum(sizes.values())

    def _used(self, owner: uuid.UUID, digest: str, link: Path | None = None) -> None:
        """Note that a complete upload is used, and give it a second name."""
        path, upload = self._find(owner, digest)
        try:
            if upload.complete:
                os.utime(path)
                if link is not None:
                    link.hardlink_to(path)
                return
        except FileNotFoundError:
            pass  # it has just been removed
        raise UploadNotFoundError(_MISSING.format(digest))

    def _must_have_room(self, owner: uuid.UUID, size: int) -> None:
        uploads = self.all_of(owner)
        if len(uploads) >= MOST:
            raise QuotaError("you have as many uploads as one user may have: delete some", MOST, len(uploads))
        own = size + sum(upload.size for upload in uploads)
        if own > self._limits.owner:
            message = "your uploads would take more bytes than one user may have: delete some"
            raise QuotaError(message, self._limits.owner, own)
        everything = size + self.used()
        if everything > self._limits.total:
            message = "all users' uploads would take more bytes than the service keeps: try again later"
            raise QuotaError(message, self._limits.total, everything)

    def _find(self, owner: uuid.UUID, digest: str) -> tuple[Path, Upload]:
        place, name = self._folder / str(owner), _name(digest)
        for path in (place / name, *place.glob(f"{name}.*{_PART}")):
            upload = _existing(path)
            if upload:
                return path, upload
        raise UploadNotFoundError(_MISSING.format(digest))

    def _locked(self, owner: uuid.UUID, digest: str) -> tuple[Lock, Upload]:
        """An upload that is not complete, with nobody else at it."""
        path, upload = self._find(owner, digest)
        if upload.complete:
            raise UploadConflictError("the upload is complete", upload.offset)
        try:
            lock = Lock(path)
        except BlockingIOError:
            raise UploadConflictError(_BUSY, upload.offset) from None
        except FileNotFoundError:
            raise UploadNotFoundError(_MISSING.format(digest)) from None
        return lock, _described(path)

    def _everything(self) -> Iterator[Path]:
        for place in self._folder.iterdir() if self._folder.is_dir() else ():
            if place.is_dir() and not place.name.startswith(_LENT):
                yield from _files(place)

    def _in_use(self) -> Iterator[Path]:
        """Complete uploads by the names that builds have given them."""
        for place in self._folder.glob(f"{_LENT}*"):
            with contextlib.suppress(FileNotFoundError):  # the build has just ended
                yield from _files(place)


_BUSY = "a part is being written, or what has come is being verified: try again"
_MISSING = "there is no complete upload of {}: upload it (again)"


def _verified(path: Path) -> str:
    """The digest of a file that is on the disk for certain."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return digest_of_file(path)


def _files(place: Path) -> list[Path]:
    """The uploads in a folder; not what locks and NFS (`.nfs…`, removed and still open) put beside them."""
    return [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []


def _existing(path: Path) -> Upload | None:
    with contextlib.suppress(FileNotFoundError):
        return _described(path)
    return None


def _described(path: Path) -> Upload:
    status = path.stat()
    digest, _, rest = path.name.partition(".")
    size = int(rest.removesuffix(_PART)) if rest else status.st_size
    return Upload(_ALGORITHM + digest, size, status.st_size, not rest, status.st_mtime)


def _removed_if_older(path: Path, until: float) -> int:
    """The bytes of a file that was removed; 0 when it is in use, or not old enough."""
    try:
        lock = Lock(path)
    except (FileNotFoundError, BlockingIOError):
        return 0
    try:
        status = path.stat()
        if status.st_mtime > until:
            return 0
        path.unlink()
        return status.st_size
    finally:
        lock.release()


def _name(digest: str) -> str:
    return digest.removeprefix(_ALGORITHM)
