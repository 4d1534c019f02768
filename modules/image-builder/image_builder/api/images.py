"""/jobs/images: ordering images, and what becomes of them."""

import asyncio
import time
import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import SecretStr, ValidationError

from ..accounts.encryption import UnknownKeyError
from ..accounts.users import NotFoundError
from ..jobs.intake import QueueFullError
from ..jobs.job import Job, NewJob, Status
from ..jobs.store import JobNotFoundError
from ..jobs.targets import NoRegistryError
from ..layers.request import Registry
from ..uploads.errors import UploadNotFoundError
from .access import Caller, ServicesHere, SignedIn, same_origin
from .errors import LIMITS, NOT_FOUND, SIGNED_IN
from .models import ImageOrder, JobList, JobMetadata, NamedRegistry
from .services import Services

CANCEL_WAIT = 3.0  # seconds that the answer to a cancel waits for the build's end
MOST_WAIT = 20  # seconds that a client can have the answer about a job wait for its end
END_LOOK = 0.5  # seconds between looks for an end in another process
CANCEL_LOOK = 0.1  # seconds between looks

router = APIRouter(
    prefix="/jobs/images", tags=["jobs"], dependencies=[Depends(same_origin)], responses=SIGNED_IN
)


@router.post("/create", responses=LIMITS)
async def create_image(body: ImageOrder, services: ServicesHere, caller: SignedIn) -> JobMetadata:
    """Order an image. It is built in the background; the job says how far it is."""
    _memory_must_suffice(services)
    await _files_must_be_there(services, caller, body)
    registry, sealed = await _target(services, body.registry)
    new = NewJob(
        id=uuid.uuid4(),
        owner_id=caller.user.id,
        name=body.name,
        tag=body.tag,
        registry=registry.prefix,
        image=f"{registry.prefix}/{body.name}:{body.tag}",
        request=body.model_dump_json(exclude={"registry"}),
        encrypted_target=sealed,
    )
    try:
        accepted = await services.intake.submit(new)
    except QueueFullError as error:
        services.metrics.refused("queue")
        detail = {"message": str(error), "limit": error.limit, "current": error.current}
        raise HTTPException(429, detail, {"Retry-After": "1"}) from None
    services.metrics.accepted()
    return JobMetadata.of(accepted)


@router.get("/list")
async def list_jobs(
    services: ServicesHere,
    caller: SignedIn,
    status: Status | None = None,
    before: Annotated[int | None, Query(ge=0, lt=2**62, description="milliseconds since 1970")] = None,
    before_id: Annotated[
        uuid.UUID | None, Query(description="with `before`: the job of that time after which to go on")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JobList:
    """Your jobs, the newest first; an administrator sees everybody's.

    The next page has `before` and `before_id`: when the last job of this one was made, and its id.
    """
    owner = None if caller.user.administrator else caller.user.id
    found = await services.jobs.newest(owner, status, before, limit, before_id)
    return JobList(jobs=[JobMetadata.of(job) for job in found])


@router.get("/{job_id}/get", responses=NOT_FOUND)
async def get_job(
    job_id: uuid.UUID,
    services: ServicesHere,
    caller: SignedIn,
    wait: Annotated[float, Query(ge=0, le=MOST_WAIT, description="seconds to wait for the job's end")] = 0,
) -> JobMetadata:
    """A job, as far as it has come, or when it has ended."""
    job = await visible_job(services, caller, job_id)
    until = time.monotonic() + wait
    while not job.status.is_final and (left := until - time.monotonic()) > 0:
        await services.recent.wait(job_id, min(left, END_LOOK))
        job = await services.job(job_id)
    return JobMetadata.of(job)


@router.delete("/{job_id}/cancel", responses=NOT_FOUND)
async def cancel_job(job_id: uuid.UUID, services: ServicesHere, caller: SignedIn) -> JobMetadata:
    """End a job and all its processes. One that has ended stays as it is."""
    await visible_job(services, caller, job_id)
    job = await services.jobs.request_cancel(job_id)
    services.executor.cancel(job_id)
    until = time.monotonic() + CANCEL_WAIT
    while not job.status.is_final and time.monotonic() < until:
        await asyncio.sleep(CANCEL_LOOK)
        job = await services.jobs.get(job_id)
    return JobMetadata.of(job)


async def visible_job(services: Services, caller: Caller, job_id: uuid.UUID) -> Job:
    """The job, if the caller may see it; whether others exist is not said."""
    try:
        job = await services.job(job_id)
    except JobNotFoundError:
        raise HTTPException(404, "there is no such job") from None
    if job.owner_id != caller.user.id and not caller.user.administrator:
        raise HTTPException(404, "there is no such job")
    return job


def _memory_must_suffice(services: Services) -> None:
    limit = services.settings.max_memory_percent_usage
    if services.memory_percent > limit:
        services.metrics.refused("memory")
        message = "no further job is accepted: builds use as much memory as the settings allow (percent)"
        current = round(services.memory_percent, 2)
        raise HTTPException(400, {"message": message, "limit": limit, "current": current})


async def _files_must_be_there(services: Services, caller: Caller, body: ImageOrder) -> None:
    if body.digests:
        try:
            await asyncio.to_thread(services.uploads.must_be_there, caller.user.id, body.digests)
        except UploadNotFoundError as error:
            raise HTTPException(400, f"files: {error}") from None


async def _target(
    services: Services, registry: Registry | NamedRegistry | None
) -> tuple[Registry, str | None]:
    """Where the image goes, and that encrypted unless it is the service's own registry."""
    if isinstance(registry, NamedRegistry):
        registry = await _named(services, registry.registry_name)
    if registry is not None:
        return registry, services.targets.sealed(registry)
    try:
        return services.targets.default, None
    except NoRegistryError as error:
        raise HTTPException(400, str(error)) from None


async def _named(services: Services, name: str) -> Registry:
    try:
        found, password = await services.registries.with_password(name)
    except (NotFoundError, UnknownKeyError) as error:
        raise HTTPException(400, f"registry {name!r}: {error}") from None
    try:
        return Registry(
            registry_url=found.registry_uri,
            registry_user=found.registry_user or None,
            registry_password=SecretStr(password) if password else None,
        )
    except ValidationError:  # of an earlier version; the message would have the address, and what is in it
        raise HTTPException(400, f"registry {name!r} has no valid address: update it") from None
