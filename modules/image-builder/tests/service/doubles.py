"""A builder that does what its test wants, in the place of one that makes images."""

import asyncio
import hashlib
from dataclasses import dataclass, field

from image_builder.jobs.builder import BuildCancelledError, BuildFailedError, Built, Order, Progress
from image_builder.jobs.job import Status


@dataclass
class ScriptedBuilder:
    """Logs, goes through the states, and pushes into a dictionary.

    A request's label `script` says what happens: `wait` (until cancelled or released), `fail`, `crash`.
    """

    pushed: dict[str, list[str]] = field(default_factory=dict)
    started: asyncio.Queue[Order] = field(default_factory=asyncio.Queue)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    most_running: int = 0

    async def build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        self.started.put_nowait(order)
        try:
            return await self._build(order, progress, cancel)
        finally:
            self.running -= 1

    async def _build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        script = script_of(order)
        await progress.advance(Status.BUILDING)
        secret = order.registry.registry_password
        progress.log(f"building {order.request.name}\n")
        if secret:
            progress.log(f"signing in with {secret.get_secret_value()}\n")
        if script == "fail":
            raise BuildFailedError("the base image does not exist")
        if script == "crash":
            raise RuntimeError("a bug")
        if script == "wait":
            await first_of(cancel, self.released)
            if cancel.is_set():
                progress.log("stopped\n")
                raise BuildCancelledError
        digest = "sha256:" + hashlib.sha256(order.request.model_dump_json().encode()).hexdigest()
        await progress.advance(Status.PUSHING, digest)
        image = f"{order.registry.prefix}/{order.request.name}:{order.request.tag}"
        self.pushed.setdefault(image, []).append(digest)
        return Built(digest, 1234)


def script_of(order: Order) -> str:
    for layer in order.request.layers:
        if layer.layer_type == "label" and layer.name == "script":
            return str(layer.value)
    return ""


async def first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
