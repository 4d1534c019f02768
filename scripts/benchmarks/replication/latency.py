"""A relay that makes a registry on loopback as far away as a registry is: every byte leaves late.

It delays each direction of a TCP connection and limits nothing else. The connection itself opens at
once, which spares those who open many: peers that start one process for each image. It is a program of
its own, `python -m benchmarks.replication.latency LISTEN-PORT TARGET-PORT`, so that its work can be told
from that of the programs that are measured.
"""

import asyncio
import importlib
import sys
from collections import deque
from collections.abc import Callable
from typing import cast

ONE_WAY = 0.010  # seconds
HOST = "127.0.0.1"
# Timers have the grain of a millisecond: what is due within half of one goes now, so that the mean is right.
_GRAIN = 0.001


class _End(asyncio.Protocol):
    """One end of a relayed connection: what it receives leaves at the other end, `ONE_WAY` later."""

    def __init__(self) -> None:
        self.other: _End | None = None
        self.transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes | None]] = deque()  # when it leaves; None is the end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self.other is not None and self.other.waits:
            self.other.send()

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def eof_received(self) -> bool:
        self._later(None)
        return True  # the other direction may go on

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is None or self.other.transport is None:
            return
        if exc is None:
            self._later(None)
        else:
            self.other.transport.abort()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    @property
    def waits(self) -> bool:
        """Whether something was received that has not left yet."""
        return bool(self._queue)

    def send(self) -> None:
        """Send what is due, and come back for the rest; all of it stays until the other end is connected."""
        sink = self.other.transport if self.other else None
        if sink is None:
            return
        soon = self._loop.time() + _GRAIN / 2
        while self._queue and self._queue[0][0] <= soon:
            _, data = self._queue.popleft()
            if sink.is_closing():
                continue
            if data is not None:
                sink.write(data)
            elif self.transport is not None and self.transport.is_closing():
                sink.close()
            else:
                sink.write_eof()
        if self._queue:
            self._loop.call_at(self._queue[0][0] - _GRAIN / 2, self.send)

    def _later(self, data: bytes | None) -> None:
        due = self._loop.time() + ONE_WAY
        self._queue.append((due, data))
        if len(self._queue) == 1:
            self._loop.call_at(due - _GRAIN / 2, self.send)


class _Accepted(_End):
    """The end that a client connected to."""

    def __init__(self, target_port: int) -> None:
        super().__init__()
        self._target_port = target_port
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        far = _End()
        far.other, self.other = self, far
        try:
            await self._loop.create_connection(lambda: far, HOST, self._target_port)
        except OSError:
            if self.transport is not None:
                self.transport.abort()


async def relay(listen_port: int, target_port: int) -> asyncio.Server:
    """Listen on loopback and relay every connection.

    Args:
        listen_port: 0 for any free one.
        target_port: where connections go.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Accepted(target_port), HOST, listen_port, backlog=1024)


async def _serve(listen_port: int, target_port: int) -> None:
    async with await relay(listen_port, target_port) as server:
        await server.serve_forever()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed: it takes less of the processors that are measured."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ModuleNotFoundError:
        return None
    return cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)


def _main() -> None:
    listen_port, target_port = map(int, sys.argv[1:])
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(listen_port, target_port))


if __name__ == "__main__":
    _main()
