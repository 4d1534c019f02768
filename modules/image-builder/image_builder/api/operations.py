"""What the platform asks: is the service alive, is it ready, how much has it to do."""

import asyncio

from fastapi import APIRouter, HTTPException, Response

from ..cached import used_bytes
from ..database.migrate import is_current
from .access import ServicesHere
from .errors import UNAVAILABLE
from .models import Detail, Health

router = APIRouter(tags=["operations"])


@router.get("/health/live", responses={503: {"model": Detail, "description": "To be started anew"}})
async def live(services: ServicesHere) -> Health:
    """Whether the process works. The database's absence is no reason to start it anew."""
    if services.broken:
        raise HTTPException(503, "a part of the service has ended; the process has to be started anew")
    return Health(status="ok")


@router.get("/health/ready", responses={503: {"model": Detail, "description": "Not ready"}})
async def ready(services: ServicesHere) -> Health:
    """Whether requests can be served: the database answers and has the tables of this version."""
    if not await services.probe(is_current):
        raise HTTPException(503, "the database does not answer, or has other tables than this version needs")
    return Health(status="ok")


@router.get("/metrics", response_class=Response, responses=UNAVAILABLE)
async def metrics(services: ServicesHere) -> Response:
    """Figures for Prometheus."""
    uploads = await asyncio.to_thread(services.uploads.used)
    cache = await asyncio.to_thread(used_bytes, services.settings.cache_dir)
    text = services.metrics.text(await services.jobs.counts(), services.memory_percent, cache, uploads)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
