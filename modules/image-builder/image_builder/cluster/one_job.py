"""What a pod does: `image-builder job run JOB_ID` builds one job, with the database alone."""

import asyncio
import contextlib
import logging
import signal
import uuid

from ..api.services import Services
from ..database.migrate import is_current
from ..jobs.builder import Builder
from ..jobs.job import Job
from ..jobs.patience import insistently
from ..jobs.store import JobNotFoundError
from ..jobs.workers import Workers
from ..service_settings import ServiceSettings
from ..shared.errors import UserError

LOOK_EVERY = 1.0  # seconds between looks whether the job has ended elsewhere
ENDED_BY_SIGNAL = 143

log = logging.getLogger(__name__)


async def run_job(settings: ServiceSettings, builder: Builder, job_id: uuid.UUID) -> int:
    """Build a job to its end, or wait for its end elsewhere; the exit status.

    0 says that the job has ended, well or badly: that stands in the database. A signal gives the job back.

    Raises:
        UserError: there is no such job, or the database belongs to another version.
    """
    services = Services.of(settings, builder)
    if not await insistently(lambda: is_current(services.database)):
        await services.database.close()
        raise UserError(f"the database {settings.database} has other tables than this version needs")
    ended = asyncio.Event()
    workers = _workers(services, builder, job_id, ended)
    working = asyncio.create_task(workers.run())
    waiting = asyncio.create_task(_ended(services, job_id, ended))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, waiting.cancel)
    try:
        # A worker that ends by itself has met a bug, which must not look like a job that goes on.
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            waiting.cancel()
            working.result()
        return await waiting
    except asyncio.CancelledError:
        log.info("ended by a signal: job %s is given back", job_id)
        return ENDED_BY_SIGNAL
    except JobNotFoundError:
        raise UserError(f"there is no job {job_id} in the database {settings.database}") from None
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await services.database.close()


def _workers(services: Services, builder: Builder, job_id: uuid.UUID, ended: asyncio.Event) -> Workers:
    settings = services.settings

    def note(_: Job) -> None:
        ended.set()

    return Workers(
        services.jobs,
        builder,
        services.targets,
        size=1,
        lease=settings.job_lease,
        timeout=settings.job_timeout,
        max_attempts=settings.job_max_attempts,
        accepted=asyncio.Event(),
        ended=note,
        only=job_id,
    )


async def _ended(services: Services, job_id: uuid.UUID, ended: asyncio.Event) -> int:
    """Return when the job has ended, here or elsewhere."""
    while not (await insistently(lambda: services.jobs.get(job_id))).status.is_final:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await ended.wait()
    return 0
