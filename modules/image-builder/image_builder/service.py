"""Runs the service: its database brought up to date, then HTTP."""

import logging

import uvicorn

from .accounts.users import Person
from .api.app import make_app
from .api.services import Services
from .database.migrate import upgrade
from .jobs.builder import Builder
from .service_settings import ServiceSettings

END_WITHIN = 5  # seconds that open connections (logs that are followed) have when the service stops

log = logging.getLogger(__name__)


async def serve(settings: ServiceSettings, builder: Builder, host: str, port: int) -> None:
    """Serve until a signal ends it. Missing tables, and the first administrator if one is set, are made."""
    services = Services.of(settings, builder)
    await upgrade(services.database)
    await _first_administrator(services)
    config = uvicorn.Config(
        make_app(services),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=END_WITHIN,
        server_header=False,
    )
    await uvicorn.Server(config).serve()


async def make_administrator(services: Services, person: Person, password: str) -> bool:
    """Make an administrator, unless there is a user of that name; whether one was made."""
    return await services.users.create_first(person, await services.passwords.hash(password))


async def _first_administrator(services: Services) -> None:
    """From DCRX_KV_ADMIN_USERNAME and DCRX_KV_ADMIN_PASSWORD, when there are no users at all."""
    settings = services.settings
    if await services.users.are_there():
        return
    if settings.admin_username is None or settings.admin_password is None:
        log.warning("there are no users yet: `image-builder database initialize` makes the first one")
        return
    person = Person(settings.admin_username, administrator=True)
    await make_administrator(services, person, settings.admin_password.get_secret_value())
