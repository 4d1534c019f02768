"""`image-builder`, also called `dcrx-kv`: the service, its database, and building from a shell."""

import argparse
import asyncio
import getpass
import logging
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from .accounts.encryption import UnknownKeyError
from .accounts.passwords import MAX_LENGTH, MIN_LENGTH
from .accounts.users import Person
from .api.services import Services
from .database.connection import DatabaseUnavailableError
from .database.migrate import upgrade
from .jobs.no_builder import NoBuilder
from .service import make_administrator, serve
from .service_settings import ServiceSettings, read_settings
from .shared.edge import run
from .shared.errors import ParameterError, UserError

PORT = 2278


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 only when all of it succeeded."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    arguments = _parser().parse_args(argv)
    return run(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    match arguments.area, getattr(arguments, "command", None):
        case "database", "initialize":
            return asyncio.run(_initialize(read_settings(os.environ), arguments))
        case "database", "rotate-keys":
            return asyncio.run(_rotate(read_settings(os.environ)))
        case "cache", command:
            return _cache(read_settings(os.environ), str(command), getattr(arguments, "bytes", None))
        case "server", _:
            return asyncio.run(_serve(read_settings(os.environ), arguments.host, arguments.port))
        case "job", _:
            # A pod builds itself what its service has built by pods.
            settings = read_settings({**os.environ, "DCRX_KV_BUILDS": "local"})
            return asyncio.run(_run_job(settings, arguments.job_id))
        case _:
            return _build(arguments)


async def _serve(settings: ServiceSettings, host: str, port: int) -> int:
    if settings.builds == "kubernetes":
        await serve(settings, NoBuilder(), host, port)
        return 0
    from .jobs.local_builder import LocalBuilder  # what builds is slow to load; other commands do without

    async with LocalBuilder(settings) as builder:
        await serve(settings, builder, host, port)
    return 0


async def _run_job(settings: ServiceSettings, job_id: uuid.UUID) -> int:
    from .cluster.one_job import run_job
    from .jobs.local_builder import LocalBuilder

    async with LocalBuilder(settings) as builder:
        return await run_job(settings, builder, job_id)


def _cache(settings: ServiceSettings, command: str, size: int | None) -> int:
    from .cache_command import show, trim  # slow to load, as in _serve
    from .jobs.local_builder import build_settings

    built = build_settings(settings)
    return show(built) if command == "show" else asyncio.run(trim(built, size))


async def _initialize(settings: ServiceSettings, arguments: argparse.Namespace) -> int:
    username = arguments.username or settings.admin_username
    if not username:
        raise ParameterError("--username (or DCRX_KV_ADMIN_USERNAME) says who the first administrator is")
    password = _new_password(settings, arguments)
    person = Person(username, arguments.first_name, arguments.last_name, arguments.email, administrator=True)
    services = Services.of(settings, NoBuilder())
    try:
        await upgrade(services.database)
        made = await make_administrator(services, person, password)
    except DatabaseUnavailableError:
        raise UserError(f"the database does not answer: {settings.database}") from None
    finally:
        await services.database.close()
    print(f"user {username!r} {'was made' if made else 'was there already and is unchanged'}")
    return 0


async def _rotate(settings: ServiceSettings) -> int:
    services = Services.of(settings, NoBuilder())
    try:
        count = await services.registries.rotate()
    except UnknownKeyError as error:
        raise UserError(str(error)) from None
    except DatabaseUnavailableError:
        raise UserError(f"the database does not answer: {settings.database}") from None
    finally:
        await services.database.close()
    print(f"{count} credentials are under the first key of DCRX_KV_ENCRYPTION_KEY; older keys can go")
    return 0


def _new_password(settings: ServiceSettings, arguments: argparse.Namespace) -> str:
    if arguments.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif arguments.password is not None:
        password = arguments.password
    elif settings.admin_password is not None:
        password = settings.admin_password.get_secret_value()
    else:
        password = _prompted("password of the new user: ")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ParameterError(f"the password must have {MIN_LENGTH} to {MAX_LENGTH} characters")
    return password


def _prompted(question: str) -> str:
    if not sys.stdin.isatty():
        raise ParameterError("there is no password: --password-stdin reads one from the standard input")
    return getpass.getpass(question)


def _build(arguments: argparse.Namespace) -> int:
    # Clients and builders are slow to load, and the other commands do without them.
    from .build_command import build_by_service, read_request

    if arguments.local:
        from .local_build import build_here

        return build_here(read_request(arguments.request), arguments.request.parent)
    password = os.environ.get("IMAGE_BUILDER_PASSWORD")
    if arguments.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    password = password or _prompted("password: ")
    return build_by_service(arguments.request, arguments.server, arguments.username, password)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="image-builder",
        description="Builds container images on request. Settings of the service come from DCRX_KV_* and "
        "DOCKER_REGISTRY_* in the environment; each can be a file (NAME_FILE).",
    )
    areas = parser.add_subparsers(dest="area", required=True)
    database = areas.add_parser("database", help="the service's database")
    _add_database_commands(database.add_subparsers(dest="command", required=True))
    server = areas.add_parser("server", help="the service").add_subparsers(dest="command", required=True)
    running = server.add_parser("run", help="serve until ended by a signal")
    host = os.environ.get("DCRX_KV_LISTEN_HOST", "127.0.0.1")
    running.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    running.add_argument("--port", type=int, default=PORT, help="port to listen on (default: %(default)s)")
    job = areas.add_parser("job", help="one job").add_subparsers(dest="command", required=True)
    of_one = job.add_parser("run", help="build one job of the database here; what a build's pod does")
    of_one.add_argument("job_id", type=uuid.UUID, help="as the answer to its order has it")
    cache = areas.add_parser("cache", help="what builds of this machine keep for later ones")
    _add_cache_commands(cache.add_subparsers(dest="command", required=True))
    _add_build(areas)
    return parser


def _add_database_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    initialize = commands.add_parser(
        "initialize", help="make the tables and the first administrator; again changes nothing"
    )
    initialize.add_argument("--username", help="name to sign in with (or DCRX_KV_ADMIN_USERNAME)")
    secret = initialize.add_mutually_exclusive_group()
    secret.add_argument("--password", help="seen by every user of this machine; better one of the others")
    secret.add_argument(
        "--password-stdin", action="store_true", help="read it from the first line of the standard input"
    )
    for name in ("first-name", "last-name", "email"):
        initialize.add_argument(f"--{name}", default="")
    commands.add_parser(
        "rotate-keys", help="encrypt all credentials under the first key of DCRX_KV_ENCRYPTION_KEY"
    )


def _add_cache_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    commands.add_parser("show", help="list it, what goes first at the top")
    trimming = commands.add_parser("trim", help="make room; what running builds use stays")
    trimming.add_argument("--bytes", type=_bytes, help="what may stay (default: DCRX_KV_CACHE_BYTES)")


def _bytes(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes")
    return int(text)


def _add_build(areas: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    build = areas.add_parser("build", help="have an image built, and follow its log")
    build.add_argument("request", type=Path, help="the request as a JSON file; - is the standard input")
    server = os.environ.get("IMAGE_BUILDER_SERVER", f"http://localhost:{PORT}")
    build.add_argument("--server", default=server, help="address of the service (default: %(default)s)")
    build.add_argument("--username", default=os.environ.get("IMAGE_BUILDER_USERNAME", getpass.getuser()))
    build.add_argument(
        "--password-stdin",
        action="store_true",
        help="first line of the standard input; else IMAGE_BUILDER_PASSWORD or a prompt",
    )
    build.add_argument("--local", action="store_true", help="build here, without a service")
