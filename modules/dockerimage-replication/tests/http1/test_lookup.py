"""Who uses a client can decide where its connections lead."""

import pytest
from dockerimage_replication.http1.client import Client
from multidict import CIMultiDict
from yarl import URL

from .support import OK, Peer, fetch, scripted


class RefusedError(Exception):
    """The one who was asked does not want it."""


async def test_the_address_is_the_one_that_was_looked_up_and_the_name_stays_in_the_request() -> None:
    heads: list[bytes] = []
    asked: list[tuple[str, int]] = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.send(OK)

    async with scripted(script) as server:
        port = int(server.address.rpartition(":")[2])

        async def lookup(host: str, port: int) -> str:
            asked.append((host, port))
            return "127.0.0.1"

        client = Client(idle_timeout=30.0, user_agent="test", lookup=lookup)
        await fetch(client, URL(f"http://registry.test:{port}/x"))
        client.close()

    assert asked == [("registry.test", port)]
    assert f"Host: registry.test:{port}".encode() in heads[0]


async def test_what_a_lookup_raises_ends_the_request_unchanged() -> None:
    async def refusing(host: str, port: int) -> str:
        raise RefusedError(host)

    client = Client(idle_timeout=30.0, user_agent="test", lookup=refusing)

    with pytest.raises(RefusedError, match=r"registry\.test"):
        await fetch(client, URL("http://registry.test/x"))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_no_way_around_it(scheme: str) -> None:
    """The proxy may stand where more can be reached; it is not asked for what is refused."""
    asked = []

    async def refusing(host: str, port: int) -> str:
        raise RefusedError(host)

    async def proxying(peer: Peer) -> None:
        asked.append(await peer.request())

    client = Client(idle_timeout=30.0, user_agent="test", lookup=refusing)
    async with scripted(proxying) as proxy:
        with pytest.raises(RefusedError, match=r"metadata\.test"):
            await client.send(
                "GET",
                URL(f"{scheme}://metadata.test/x"),
                CIMultiDict(),
                proxy=URL(f"http://{proxy.address}"),
            )

    assert asked == []
