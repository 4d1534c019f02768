"""The way in: one request, one image."""

import asyncio
from collections.abc import Callable

from ..layers.request import ImageRequest
from .result import BuildContext, BuildResult
from .settings import BuildSettings


async def build(
    request: ImageRequest,
    settings: BuildSettings,
    context: BuildContext,
    on_log: Callable[[str], None],
    cancel: asyncio.Event,
) -> BuildResult:
    """Build an image and push it.

    The same request gives the same digest, wherever and whenever it is built, as long as its bases and its
    commands give the same. The caller's task may be cancelled too.

    Args:
        request: what to build.
        settings: what the administrator has set.
        context: what belongs to this build alone.
        on_log: called with each line of the log, without its line break; it must not block.
        cancel: set to end the build; nothing of it runs 2 seconds later.

    Raises:
        BuildError: there is no image; its class and text say why.
    """
    raise NotImplementedError
