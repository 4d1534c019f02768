"""A round trip that takes its time."""

import asyncio

from .exchange import Forward, Reply, Request, Rule


def delay(seconds: float) -> Rule:
    """Every request reaches the registry that much later; requests side by side wait side by side."""

    async def rule(request: Request, forward: Forward) -> Reply:
        await asyncio.sleep(seconds)
        return await forward(request)

    return rule
