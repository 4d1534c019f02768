"""/uploads: large files for `copy` and `add`, sent in parts that go on where a connection broke."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Request
from pydantic import BaseModel, Field, StrictInt
from starlette.requests import ClientDisconnect

from ..layers.request import Digest
from ..uploads import Upload
from ..uploads.errors import QuotaError, UploadConflictError, UploadNotFoundError, WrongDigestError
from ..uploads.store import Receiving
from ..waiting import to_its_end
from .access import ServicesHere, SignedIn, same_origin
from .errors import NOT_FOUND, SIGNED_IN, Responses
from .models import Detail, Input, LimitAnswer, Message
from .services import Services

PART = 8 * 1024 * 1024  # bytes of one part that a client should send
IDLE = 30.0  # seconds after which a sender that says nothing is given up, so that it may begin again
_BUFFER = 1024 * 1024  # bytes that are written at a time


class NewUpload(Input):
    """A file to send."""

    digest: Digest
    size: Annotated[StrictInt, Field(ge=0, le=2**50, description="bytes")]


class UploadAnswer(BaseModel):
    """How far an upload is."""

    digest: str
    size: int
    offset: int = Field(description="where the next part begins")
    complete: bool = Field(description="whether requests can use it")
    part_size: int = Field(description="bytes that a part may have")
    expires_at: datetime = Field(description="when it is removed, unless it is used before")


class UploadList(BaseModel):
    """Your uploads."""

    uploads: list[UploadAnswer]


class Offset(BaseModel):
    """Where the upload stands."""

    message: str
    offset: int


class OffsetAnswer(BaseModel):
    """The answer to what contradicts the upload."""

    detail: Offset


_STANDS_ELSEWHERE: Responses = {409: {"model": OffsetAnswer, "description": "It stands elsewhere"}}
_NO_ROOM: Responses = {
    413: {"model": LimitAnswer | Detail, "description": "A quota is reached, or the body is too large"},
    507: {"model": Detail, "description": "The disk is full"},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(
    prefix="/uploads", tags=["uploads"], dependencies=[Depends(same_origin)], responses=SIGNED_IN
)

DigestPath = Annotated[Digest, Path(description="sha256:… of the whole file")]


@router.post("/create", responses={**_STANDS_ELSEWHERE, **_NO_ROOM})
async def create_upload(body: NewUpload, services: ServicesHere, caller: SignedIn) -> UploadAnswer:
    """Announce a file, or learn how far it is: complete when you have uploaded the same before."""
    with _answers():
        begin = services.uploads.begin
        return _answer(services, await asyncio.to_thread(begin, caller.user.id, body.digest, body.size))


@router.get("/list")
async def list_uploads(services: ServicesHere, caller: SignedIn) -> UploadList:
    """Your uploads."""
    found = await asyncio.to_thread(services.uploads.all_of, caller.user.id)
    return UploadList(uploads=[_answer(services, upload) for upload in found])


@router.get("/{digest}/get", responses=NOT_FOUND)
async def get_upload(digest: DigestPath, services: ServicesHere, caller: SignedIn) -> UploadAnswer:
    """How far an upload is."""
    with _answers():
        return _answer(services, await asyncio.to_thread(services.uploads.get, caller.user.id, digest))


@router.patch(
    "/{digest}/append",
    responses={
        **NOT_FOUND,
        **_STANDS_ELSEWHERE,
        **_NO_ROOM,
        408: {"model": Detail, "description": "Nothing came for a while"},
    },
    openapi_extra=_BODY,
)
async def append(
    digest: DigestPath,
    request: Request,
    services: ServicesHere,
    caller: SignedIn,
    upload_offset: Annotated[int, Header(ge=0, le=2**50, description="where the part begins")],
) -> UploadAnswer:
    """Send a part. What came before a connection broke is kept."""
    with _answers():
        receiving = await asyncio.to_thread(services.uploads.receive, caller.user.id, digest, upload_offset)
        try:
            await _take(request, receiving)
        finally:
            receiving.close()
        return _answer(services, await asyncio.to_thread(services.uploads.get, caller.user.id, digest))


@router.put("/{digest}/complete", responses={**NOT_FOUND, **_STANDS_ELSEWHERE})
async def complete_upload(digest: DigestPath, services: ServicesHere, caller: SignedIn) -> UploadAnswer:
    """Have the whole file verified, so that requests can use it."""
    with _answers():
        complete = services.uploads.complete
        return _answer(services, await asyncio.to_thread(complete, caller.user.id, digest))


@router.delete("/{digest}/delete", responses={**NOT_FOUND, **_STANDS_ELSEWHERE})
async def delete_upload(digest: DigestPath, services: ServicesHere, caller: SignedIn) -> Message:
    """Remove an upload; builds that have begun keep what they use."""
    with _answers():
        await asyncio.to_thread(services.uploads.remove, caller.user.id, digest)
    return Message(message="Upload deleted.")


async def _take(request: Request, receiving: Receiving) -> None:
    """Write a body as it comes, with little of it in memory; also what came before it broke off."""
    size = 0
    try:
        async for data in _pieces(request):
            size += len(data)
            await to_its_end(asyncio.to_thread(receiving.write, data))
    except TimeoutError:
        raise HTTPException(408, f"nothing came for {IDLE:.0f} s; go on where it stands") from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection broke; go on where it stands") from None
    if not size:
        raise HTTPException(400, "the part is empty")


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """A body in pieces of some size; the last one also when the body breaks off behind it."""
    stream, piece = aiter(request.stream()), bytearray()
    try:
        while True:
            async with asyncio.timeout(IDLE):
                piece += await anext(stream)
            if len(piece) >= _BUFFER:
                yield bytes(piece)
                piece.clear()
    except StopAsyncIteration:
        yield bytes(piece)
    except (TimeoutError, ClientDisconnect):
        yield bytes(piece)
        raise


@contextmanager
def _answers() -> Iterator[None]:
    """Say with HTTP's words what is wrong."""
    try:
        yield
    except UploadNotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except UploadConflictError as error:
        raise HTTPException(409, {"message": str(error), "offset": error.offset}) from None
    except WrongDigestError as error:
        raise HTTPException(400, str(error)) from None
    except QuotaError as error:
        detail = {"message": str(error), "limit": error.limit, "current": error.current}
        raise HTTPException(413, detail) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HTTPException(507, "the service's disk for uploads is full") from None


def _answer(services: Services, upload: Upload) -> UploadAnswer:
    age = services.settings.upload_age.total_seconds()
    return UploadAnswer(
        digest=upload.digest,
        size=upload.size,
        offset=upload.offset,
        complete=upload.complete,
        part_size=min(PART, services.settings.max_request_bytes),
        expires_at=datetime.fromtimestamp(upload.used + age, UTC),
    )
