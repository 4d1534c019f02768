"""A network with nothing but loopback, in which an emulated AWS answers, and containers that join it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .containers import EMULATOR_PORT, Container, Containers
from .namespace import Relay


@dataclass
class Pod:
    """Containers of one image that share a network, as those of a pod do."""

    containers: Containers
    network: Container
    relay: Relay

    def start(self, **options: Any) -> Container:  # noqa: ANN401
        """A container of the image; see `Containers.session`."""
        return self.containers.session(network=self.network, **options)

    def healthy(self, **options: Any) -> Container:  # noqa: ANN401
        """One that is up."""
        container = self.start(**options)
        container.wait_until_healthy()
        return container


@contextmanager
def running_pod(image: str, aws_port: int) -> Iterator[Pod]:
    """A pod whose AWS is a port of the machine's loopback; all its containers are removed in the end."""
    containers = Containers(image)
    try:
        network = containers.network()
        relay = Relay(network.process(), EMULATOR_PORT, aws_port)
        yield Pod(containers, network, relay)
        relay.close()
    finally:
        containers.remove_all()
