"""Faults of networks and registries, injected by a seed.

Which fault a request meets depends on the seed, on what the request asks for and on how often that was
asked before, and on nothing else: not on the clock, and not on the order of requests side by side.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .exchange import Body, CutOff, Forward, Reply, Request, ResetConnection, parse_path

_RETRY_AFTER = "1"  # second: the smallest that means a wait


class Fault(StrEnum):
    """What can go wrong with one request."""

    TOO_MANY = "429"
    TOO_MANY_RETRY_AFTER = "429 with Retry-After"
    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    ERROR_504 = "504"
    RESET_BEFORE = "reset before the request is forwarded"
    RESET_IN_REQUEST = "reset in the middle of the request's body"
    RESET_AFTER = "reset after the request was forwarded"
    TRUNCATED = "truncated body"
    SLOW = "slow-loris"
    WRONG_DIGEST = "wrong digest"


_STATUS = {
    Fault.TOO_MANY: 429,
    Fault.TOO_MANY_RETRY_AFTER: 429,
    Fault.ERROR_500: 500,
    Fault.ERROR_502: 502,
    Fault.ERROR_503: 503,
    Fault.ERROR_504: 504,
}
_NEED_REQUEST_BODY = (Fault.RESET_IN_REQUEST,)
_NEED_REPLY_BODY = (Fault.TRUNCATED, Fault.WRONG_DIGEST)


@dataclass(frozen=True)
class FaultPlan:
    """Which requests meet which fault; a pure function.

    Attributes:
        seed: another seed, other faults.
        share: part of the requests that meet one, 0 to 1.
        kinds: the faults there are; those that do not fit a request are left out for it.
    """

    seed: int
    share: float = 0.2
    kinds: Sequence[Fault] = tuple(Fault)

    def fault(self, request: Request, occurrence: int) -> Fault | None:
        """The fault of a request whose `identity` occurs for the n-th time (from 0)."""
        chance = random.Random(f"{self.seed} {identity(request)} {occurrence}")  # noqa: S311 - no secret
        if chance.random() >= self.share:
            return None
        return chance.choice([kind for kind in self.kinds if _fits(kind, request)])


def identity(request: Request) -> str:
    """What a request asks for, without what a registry makes up (the ids of uploads)."""
    place = parse_path(request.path)
    if place is None or place.kind != "uploads" or not place.name:
        return f"{request.method} {request.target}"
    part = request.headers.get("Content-Range") or request.headers.get("Content-Length", "")
    digest = request.query.get("digest", "")
    return f"{request.method} {place.repository} upload {digest} {part}"


class FaultRule:
    """Injects the faults of a plan.

    Args:
        plan: which.
        seconds_per_byte: pace of a slow-loris.

    Attributes:
        injected: how many of each.
    """

    def __init__(self, plan: FaultPlan, *, seconds_per_byte: float = 0.25) -> None:
        self.injected: Counter[Fault] = Counter()
        self._plan = plan
        self._seconds_per_byte = seconds_per_byte
        self._occurrences: Counter[str] = Counter()

    async def __call__(self, request: Request, forward: Forward) -> Reply:
        name = identity(request)
        fault = self._plan.fault(request, self._occurrences[name])
        self._occurrences[name] += 1
        if fault is None:
            return await forward(request)
        self.injected[fault] += 1
        return await self._inject(fault, request, forward)

    async def _inject(self, fault: Fault, request: Request, forward: Forward) -> Reply:
        if fault in _STATUS:
            headers = {"Retry-After": _RETRY_AFTER} if fault is Fault.TOO_MANY_RETRY_AFTER else {}
            return Reply.error(_STATUS[fault], "UNKNOWN", f"injected: {fault}", headers)
        if fault is Fault.RESET_BEFORE:
            raise ResetConnection
        if fault is Fault.RESET_IN_REQUEST:
            return await forward(request.with_body(_reset_halfway(request)))
        reply = await forward(request)
        if fault is Fault.RESET_AFTER:
            await reply.read()
            raise ResetConnection
        if fault is Fault.TRUNCATED:
            return reply.with_body(_truncated(reply))
        if fault is Fault.WRONG_DIGEST:
            return reply.with_body(_falsified(reply))
        return Reply(reply.status, reply.headers, reply.body, self._seconds_per_byte)


def _fits(kind: Fault, request: Request) -> bool:
    if kind in _NEED_REQUEST_BODY:
        return _length(request.headers.get("Content-Length")) > 0 or "Transfer-Encoding" in request.headers
    if kind in _NEED_REPLY_BODY:
        place = parse_path(request.path)
        return request.method == "GET" and place is not None and place.kind in ("blobs", "manifests")
    return True


def _length(value: str | None) -> int:
    return int(value) if value and value.isdigit() else 0


async def _reset_halfway(request: Request) -> Body:
    remaining = _length(request.headers.get("Content-Length")) // 2
    async for content in request.body:
        yield content[:remaining]
        remaining -= len(content)
        if remaining <= 0:
            break
    raise ResetConnection


async def _truncated(reply: Reply) -> Body:
    remaining = _length(reply.headers.get("Content-Length")) // 2
    async for content in reply.body:
        yield content[:remaining]
        remaining -= len(content)
        if remaining <= 0:
            break
    raise CutOff


async def _falsified(reply: Reply) -> Body:
    """One bit is another, in the middle of the body."""
    before = _length(reply.headers.get("Content-Length")) // 2
    async for content in reply.body:
        if 0 <= before < len(content):
            yield content[:before] + bytes([content[before] ^ 1]) + content[before + 1 :]
        else:
            yield content
        before -= len(content)
