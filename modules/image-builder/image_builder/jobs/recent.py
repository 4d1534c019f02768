"""Jobs that ended a short while ago, in memory: they are asked for most and change no more."""

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

    def add(self, job: Job) -> None:
        """Keep a job that has ended."""
        self._jobs[job.id] = (time.monotonic(), job)
        if len(self._jobs) > MOST:
            self._jobs.popitem(last=False)

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
