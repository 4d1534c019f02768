"""One attempt at a job, from its claim to its end."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from ..accounts.encryption import UnknownKeyError
from ..layers.request import ImageRequest, Registry
from .builder import BuildCancelledError, Builder, BuildFailedError, Built, Order
from .job import Claim, Job, Status
from .log_writer import LogWriter
from .store import JobStore, LostLeaseError
from .targets import NoRegistryError, Targets, password_of

GRACE = 10.0  # seconds that a builder has to end after it was told to; it promises 2

log = logging.getLogger(__name__)


@dataclass
class Attempt:
    """A claimed job that is being built here.

    Attributes:
        claim: what the database gave us.
        cancel: set to end the build, whatever the reason.
        lost: the lease is gone, or the service stops: nothing more is written.
    """

    claim: Claim
    store: JobStore
    builder: Builder
    targets: Targets
    timeout: timedelta
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False
    _last_words: list[str] = field(default_factory=list)  # the end of the log, written with the job's own

    async def run(self) -> Job | None:
        """Build, push and write down how it ended; None when that is somebody else's by now."""
        try:
            status, context, built = await self._outcome()
            if self.lost:
                return None
            size, digest = (built.size, built.digest) if built else (0, None)
            return await self.store.finish(
                self.claim, status, context, size=size, digest=digest, log=self._last_words
            )
        except LostLeaseError:
            log.warning("job %s: another worker has it now", self.claim.job.id)
            return None

    def give_up(self) -> None:
        """End the build; the job belongs to somebody else, or waits for the next start of the service."""
        self.lost = True
        self.cancel.set()

    async def _outcome(self) -> tuple[Status, str, Built | None]:
        try:
            registry = self.targets.opened(self.claim.encrypted_target)
        except (NoRegistryError, UnknownKeyError) as error:
            return Status.FAILED, str(error), None
        except ValidationError as error:
            return Status.FAILED, _refusal("registry", error), None
        try:
            request = ImageRequest.model_validate_json(self.claim.request)
        except ValidationError as error:
            return Status.FAILED, _refusal("request", error), None
        try:
            if self.claim.encrypted_target is not None:
                request = request.model_copy(update={"registry": registry})
            return Status.DONE, "", await self._build(request, registry)
        except BuildFailedError as error:
            return Status.FAILED, _without(password_of(registry), str(error)), None
        except TimeoutError:
            return Status.FAILED, f"took longer than the limit of {self.timeout}", None
        except BuildCancelledError:
            return Status.CANCELLED, "cancelled", None
        except LostLeaseError:
            raise
        except Exception:
            log.exception("job %s: the builder failed", self.claim.job.id)
            text = f"the service failed at this job; its own log has the reason under {self.claim.job.id}"
            return Status.FAILED, text, None

    async def _build(self, request: ImageRequest, registry: Registry) -> Built:
        """Build with a log, within the time limit.

        Raises:
            TimeoutError: the time was up.
        """
        writer = LogWriter(self._append, password_of(registry))
        writing = asyncio.create_task(writer.run())
        job = self.claim.job
        order = Order(job.id, request, registry, self.claim.built_digest, job.owner_id)
        building = asyncio.create_task(
            self.builder.build(order, _Reports(self, writer), self.cancel), name=str(order.job_id)
        )
        try:
            return await self._within_time(building)
        finally:
            # Between two writes: one that is broken off would lose what it had taken.
            async with writer.taken() as texts:
                writing.cancel()
                self._last_words = texts
            await asyncio.gather(writing, return_exceptions=True)

    async def _within_time(self, building: "asyncio.Task[Built]") -> Built:
        try:
            done, _ = await asyncio.wait({building}, timeout=self.timeout.total_seconds())
            if done:
                return building.result()
            self.cancel.set()
            with contextlib.suppress(BuildCancelledError):
                return await asyncio.wait_for(building, GRACE)
            raise TimeoutError
        finally:
            building.cancel()
            await asyncio.gather(building, return_exceptions=True)

    async def _append(self, texts: list[str]) -> None:
        await self.store.append(self.claim, texts)


@dataclass(frozen=True)
class _Reports:
    """The builder's side of an attempt."""

    attempt: Attempt
    writer: LogWriter

    def log(self, text: str) -> None:
        self.writer.log(text)

    async def advance(self, status: Status, digest: str | None = None) -> None:
        async with self.writer.taken() as texts:
            if self.attempt.lost:
                raise LostLeaseError("the lease is gone")
            await self.attempt.store.advance(self.attempt.claim, status, digest=digest, log=texts)


def _refusal(part: str, error: ValidationError) -> str:
    """Which field of what an earlier version of the service has accepted is not valid any more.

    Without its value, which may be a secret.
    """
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, [part, *first["loc"]]))
    reason = first["msg"].removeprefix("Value error, ")
    return (
        f"{field}: {reason}; the service has changed since it accepted this request: send it again, changed"
    )


def _without(secrets: list[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "********")
    return text
