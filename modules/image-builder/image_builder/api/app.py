"""The application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from . import images, logs, operations, registries, uploads, users
from .body_limit import BodyLimit
from .docs import add_docs
from .errors import add_error_handlers
from .services import Services

_DESCRIPTION = (
    "Builds container images on request: a list of layers comes in, an image stands in the registry. "
    "Sign in with `/users/login`; the cookie that it sets is sent along by this page."
)


def make_app(services: Services) -> FastAPI:
    """The application of a service; it runs the service's parts while it runs itself."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with services.running():
            yield

    app = FastAPI(
        title="image-builder",
        version="0.1.0",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = services
    for router in (
        users.router,
        registries.router,
        images.router,
        logs.router,
        uploads.router,
        operations.router,
    ):
        app.include_router(router)
    add_docs(app)
    add_error_handlers(app)
    app.add_middleware(BodyLimit, limit=services.settings.max_request_bytes)
    return app
