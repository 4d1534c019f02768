"""Where an image goes, and with whose credentials registries are asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..layers.request import ImageRequest, Registry
from ..oci.credentials import Credentials, CredentialStore, StaticCredentials
from ..oci.endpoints import endpoint_of
from ..oci.reference import InvalidReference, Reference
from ..oci.transport import Transport
from .errors import InvalidRequestError
from .hosts import HostPolicy
from .settings import BuildSettings


@dataclass(frozen=True)
class Registries:
    """Connections of one build.

    Attributes:
        target: name of the image.
        bases: how bases are read, with what the service may read.
        destination: how the image is written: with the request's own credentials when it names a registry,
            so that nobody writes with those of the service but where the administrator has said.
    """

    target: Reference
    bases: Transport
    destination: Transport


@dataclass(frozen=True)
class _Chain:
    """Asks one store after the other."""

    stores: tuple[CredentialStore, ...]

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        for store in self.stores:
            found = await store.credentials(host, refresh=refresh)
            if found:
                return found
        return None


def target_of(request: ImageRequest, settings: BuildSettings) -> Reference:
    """The name of the image that a request asks for.

    Raises:
        InvalidRequestError: neither request nor service has a registry, or the names make no reference.
    """
    registry = request.registry or settings.registry
    if registry is None:
        raise InvalidRequestError("registry: the service has none of its own, so that each request names one")
    host, _, path = registry.prefix.partition("/")
    repository = f"{path}/{request.name}" if path else request.name
    try:
        return Reference(host.lower(), repository, request.tag)
    except InvalidReference as error:
        raise InvalidRequestError(f"registry.registry_url: {error}") from None


def service_transport(settings: BuildSettings, policy: HostPolicy) -> Transport:
    """Connections with the service's own credentials."""
    stores = (_static(settings.registry, settings), settings.credentials)
    return Transport(endpoints=settings.endpoints, credentials=_Chain(stores), lookup=policy.lookup)


@asynccontextmanager
async def registries(
    request: ImageRequest, settings: BuildSettings, policy: HostPolicy, service: Transport
) -> AsyncIterator[Registries]:
    """The connections of a build; those of the service are lent, those of the request's own are closed."""
    target = target_of(request, settings)
    await policy.check(target.registry, "registry.registry_url")
    if request.registry is None:
        yield Registries(target, service, service)
        return
    own = _static(request.registry, settings)
    service_stores = (_static(settings.registry, settings), settings.credentials)
    async with (
        Transport(endpoints=settings.endpoints, credentials=own, lookup=policy.lookup) as destination,
        Transport(
            endpoints=settings.endpoints, credentials=_Chain((*service_stores, own)), lookup=policy.lookup
        ) as bases,
    ):
        yield Registries(target, bases, destination)


def _static(registry: Registry | None, settings: BuildSettings) -> StaticCredentials:
    if registry is None or registry.registry_user is None or registry.registry_password is None:
        return StaticCredentials({})
    host = registry.prefix.partition("/")[0].lower()
    credentials = Credentials(registry.registry_user, registry.registry_password.get_secret_value())
    return StaticCredentials({endpoint_of(settings.endpoints, host).credential_host: credentials})
