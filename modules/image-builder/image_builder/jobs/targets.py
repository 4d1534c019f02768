"""Where an image is pushed to, with credentials: encrypted in the database, plain only while it is used."""

import json

from pydantic import SecretStr

from ..accounts.encryption import Keyring
from ..layers.request import Registry
from ..service_settings import ServiceSettings


class NoRegistryError(Exception):
    """Neither the request nor the settings name a registry."""


class Targets:
    """Turns targets into what the database may keep, and back."""

    def __init__(self, settings: ServiceSettings, keyring: Keyring) -> None:
        self._settings = settings
        self._keyring = keyring

    @property
    def default(self) -> Registry:
        """The registry of DOCKER_REGISTRY_URI.

        Raises:
            NoRegistryError: there is none.
        """
        if self._settings.registry is None:
            raise NoRegistryError(
                "the request names no registry, and the service has none of its own (DOCKER_REGISTRY_URI)"
            )
        return self._settings.registry

    def sealed(self, registry: Registry) -> str:
        """The target, encrypted."""
        password = registry.registry_password
        return self._keyring.encrypt(
            json.dumps(
                {
                    "registry_url": registry.registry_url,
                    "registry_user": registry.registry_user,
                    "registry_password": password.get_secret_value() if password else None,
                }
            )
        )

    def opened(self, sealed: str | None) -> Registry:
        """The target of a job; the service's own registry when there is none of its own.

        Raises:
            NoRegistryError: there is none at all.
            UnknownKeyError: it was encrypted under a key that is gone.
        """
        return self.default if sealed is None else Registry(**json.loads(self._keyring.decrypt(sealed)))


def password_of(registry: Registry) -> list[str]:
    """The secrets in a target, as a list for who hides them."""
    secret: SecretStr | None = registry.registry_password
    return [secret.get_secret_value()] if secret else []
