"""Logs of jobs: live as server-sent events, or as text."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from ..database.connection import DatabaseUnavailableError
from ..jobs.job import Event
from .access import ServicesHere, SignedIn
from .errors import NOT_FOUND, SIGNED_IN
from .images import visible_job
from .models import JobMetadata
from .services import Services

LOOK_EVERY = 0.3  # seconds between looks for new entries
SIGN_OF_LIFE = 15.0  # seconds of silence after which proxies may close a connection
AT_ONCE = 200  # entries

_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["log", "status", "end"]},
        "data": {"type": "string", "description": "JSON"},
    },
}

router = APIRouter(prefix="/jobs/images", tags=["jobs"], responses={**SIGNED_IN, **NOT_FOUND})


@router.get(
    "/{job_id}/logs",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": _EVENT}}}},
)
async def follow_log(
    job_id: uuid.UUID,
    services: ServicesHere,
    caller: SignedIn,
    after: Annotated[int, Query(ge=0, lt=2**31, description="number of the last entry that is known")] = 0,
    last_event_id: Annotated[str | None, Header(description="the same, as browsers send it")] = None,
) -> StreamingResponse:
    """The log as server-sent events, from its beginning to the job's end.

    Events are `log` (`text`, `attempt`, `at`), `status` (the same; text is the status), and at last `end`
    (the job). Each but the last has an id, from which a broken connection goes on (`Last-Event-ID`).
    """
    await visible_job(services, caller, job_id)
    known = max(after, _number(last_event_id))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(services, job_id, known), 200, headers, "text/event-stream")


@router.get(
    "/{job_id}/logs/text",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_log(job_id: uuid.UUID, services: ServicesHere, caller: SignedIn) -> StreamingResponse:
    """What the builds of the job have written so far, as text."""
    await visible_job(services, caller, job_id)
    return StreamingResponse(_text(services, job_id), media_type="text/plain; charset=utf-8")


async def _events(services: Services, job_id: uuid.UUID, known: int) -> AsyncIterator[str]:
    spoke = time.monotonic()
    try:
        while True:
            # In this order: when the job had ended, its log was complete.
            job = await services.job(job_id)
            found = await services.jobs.events(job_id, known, AT_ONCE)
            for event in found:
                yield _sent(event)
                known, spoke = event.sequence, time.monotonic()
            if len(found) == AT_ONCE:
                continue
            if job.status.is_final:
                yield f"event: end\ndata: {JobMetadata.of(job).model_dump_json()}\n\n"
                return
            if time.monotonic() - spoke > SIGN_OF_LIFE:
                yield ": still there\n\n"
                spoke = time.monotonic()
            await asyncio.sleep(LOOK_EVERY)
    except DatabaseUnavailableError:
        return  # the client comes back with the number of its last event


async def _text(services: Services, job_id: uuid.UUID) -> AsyncIterator[str]:
    known = 0
    while found := await services.jobs.events(job_id, known, AT_ONCE):
        for event in found:
            if event.kind == "log":
                yield event.text
        known = found[-1].sequence


def _sent(event: Event) -> str:
    data = json.dumps({"text": event.text, "attempt": event.attempt, "at": event.at})
    return f"id: {event.sequence}\nevent: {event.kind}\ndata: {data}\n\n"


def _number(text: str | None) -> int:
    """The number of the last event; what is none begins at the beginning."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
