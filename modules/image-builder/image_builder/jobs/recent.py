"""Jobs that ended a short while ago, in memory: they are asked for most and change no more."""

import asyncio
import time
import uuid
from collections import OrderedDict
from datetime import timedelta

from .job import Job

MOST = 10_000  # jobs


class RecentJobs:
    """Ended jobs until they are `max_age` old; the record in the database stays."""

    def __init__(self, max_age: timedelta) -> None:
        self._max_age = max_age.total_seconds()
        self._jobs: OrderedDict[uuid.UUID, tuple[float, Job]] = OrderedDict()
        self._awaited: dict[uuid.UUID, list[asyncio.Future[None]]] = {}

    def add(self, job: Job) -> None:
        """Keep a job that has ended."""
        self._jobs[job.id] = (time.monotonic(), job)
        if len(self._jobs) > MOST:
            self._jobs.popitem(last=False)
        for waiting in self._awaited.get(job.id, []):
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, job_id: uuid.UUID, seconds: float) -> None:
        """Wait until a job ends in this process, or the time is up."""
        if job_id in self._jobs:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(job_id, []).append(waiting)
        try:
            await asyncio.wait([waiting], timeout=seconds)
        finally:
            self._awaited[job_id].remove(waiting)
            if not self._awaited[job_id]:
                del self._awaited[job_id]

    def get(self, job_id: uuid.UUID) -> Job | None:
        """The job, if it is here."""
        found = self._jobs.get(job_id)
        return found[1] if found else None

    def prune(self) -> None:
        """Forget those that are too old."""
        limit = time.monotonic() - self._max_age
        while self._jobs and next(iter(self._jobs.values()))[0] <= limit:
            self._jobs.popitem(last=False)

    def __len__(self) -> int:
        return len(self._jobs)
