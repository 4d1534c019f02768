"""The parts of a running service, put together."""

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..accounts.encryption import Keyring
from ..accounts.passwords import Passwords
from ..accounts.registries import Registries
from ..accounts.throttle import Throttle
from ..accounts.tokens import Tokens
from ..accounts.users import Users
from ..database.connection import Database, DatabaseUnavailableError
from ..jobs.builder import Builder
from ..jobs.executor import Executor
from ..jobs.intake import Intake
from ..jobs.job import Job
from ..jobs.memory import memory_percent
from ..jobs.recent import RecentJobs
from ..jobs.store import JobStore
from ..jobs.targets import Targets
from ..jobs.workers import Workers, keep_tidy
from ..service_settings import ServiceSettings
from ..uploads import UploadStore
from .metrics import Metrics
from .sessions import Sessions

UPLOADS_EVERY = 900.0  # seconds between looks for uploads that are too old
MEMORY_EVERY = 1.0  # seconds between looks at the memory


log = logging.getLogger(__name__)


@dataclass
class Services:
    """What the endpoints work with.

    Attributes:
        memory_percent: what the service and its builds use of the memory, measured each second.
        broken: a part that has to run has ended: only a new start of the process helps.
    """

    settings: ServiceSettings
    database: Database
    users: Users
    registries: Registries
    passwords: Passwords
    tokens: Tokens
    throttle: Throttle
    sessions: Sessions
    jobs: JobStore
    intake: Intake
    recent: RecentJobs
    targets: Targets
    executor: Executor
    metrics: Metrics
    uploads: UploadStore
    memory_percent: float = 0.0
    broken: bool = False

    @classmethod
    def of(cls, settings: ServiceSettings, builder: Builder) -> "Services":
        """The parts that the settings describe; nothing runs yet."""
        database = Database(settings.database, settings.database_patience)
        keyring = Keyring(settings.listed_encryption_keys or [settings.secret_key.get_secret_value()])
        users = Users(database)
        tokens = Tokens(
            settings.secret_key.get_secret_value(), settings.auth_algorithm, settings.token_expiration
        )
        jobs = JobStore(database)
        intake = Intake(jobs, settings.job_max_pending, settings.database_patience)
        recent = RecentJobs(settings.job_max_age)
        targets = Targets(settings, keyring)
        metrics = Metrics()
        executor = _executor(
            settings, database, jobs, builder, targets, intake, _both(recent.add, metrics.ended)
        )
        return cls(
            settings=settings,
            database=database,
            users=users,
            registries=Registries(database, keyring),
            passwords=Passwords(),
            tokens=tokens,
            throttle=Throttle(database),
            sessions=Sessions(users, tokens),
            jobs=jobs,
            intake=intake,
            recent=recent,
            targets=targets,
            executor=executor,
            metrics=metrics,
            uploads=UploadStore.of(settings),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept, build and tidy up until the block ends; builds that run are then given back."""
        work = [
            asyncio.create_task(self.intake.run(), name="intake"),
            asyncio.create_task(self.executor.run(), name="executor"),
            asyncio.create_task(self._tidy(), name="tidy"),
            asyncio.create_task(self._watch_memory(), name="memory"),
        ]
        for task in work:
            task.add_done_callback(self._ended)
        try:
            yield
        finally:
            for task in work:
                task.remove_done_callback(self._ended)
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await self.database.close()

    async def job(self, job_id: uuid.UUID) -> Job:
        """A job: from memory if it ended a short while ago, else from the database.

        Raises:
            JobNotFoundError: there is none.
        """
        return self.recent.get(job_id) or await self.jobs.get(job_id)

    async def probe(self, check: Callable[[Database], Awaitable[bool]]) -> bool:
        """What `check` says of the database, at once: False when it does not answer."""
        impatient = self.database.impatient()
        try:
            return await check(impatient)
        except DatabaseUnavailableError:
            return False

    def _ended(self, task: "asyncio.Task[None]") -> None:
        log.critical("the part %r ended", task.get_name(), exc_info=task.exception())
        self.broken = True

    async def _tidy(self) -> None:
        settings = self.settings
        jobs = keep_tidy(self.jobs, self.recent.prune, settings.job_prune_interval, settings.job_record_age)
        await asyncio.gather(jobs, self._tidy_uploads())

    async def _tidy_uploads(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.uploads.tidy)
            except OSError:
                log.exception("old uploads cannot be removed")
            await asyncio.sleep(UPLOADS_EVERY)

    async def _watch_memory(self) -> None:
        while True:
            self.memory_percent = await asyncio.to_thread(memory_percent, os.getpid())
            await asyncio.sleep(MEMORY_EVERY)


def _both(first: Callable[[Job], None], second: Callable[[Job], None]) -> Callable[[Job], None]:
    def call(job: Job) -> None:
        first(job)
        second(job)

    return call


def _executor(
    settings: ServiceSettings,
    database: Database,
    jobs: JobStore,
    builder: Builder,
    targets: Targets,
    intake: Intake,
    ended: Callable[[Job], None],
) -> Executor:
    """Builds here, or on a cluster."""
    if settings.builds == "kubernetes":
        from ..cluster.executor import cluster_executor  # other services do without what it loads

        return cluster_executor(settings, database, intake.accepted, ended)
    workers = Workers(
        jobs,
        builder,
        targets,
        size=settings.job_pool_size,
        lease=settings.job_lease,
        timeout=settings.job_timeout,
        max_attempts=settings.job_max_attempts,
        accepted=intake.accepted,
        ended=ended,
        quiet=intake.quiet,
    )
    intake.worker = workers
    return workers
