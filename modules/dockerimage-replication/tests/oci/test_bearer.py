"""A registry with a token service of its own."""

import pytest
from dockerimage_replication.oci.copy import Copier
from dockerimage_replication.oci.credentials import Credentials, StaticCredentials
from dockerimage_replication.oci.errors import Unauthorized
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.transport import Transport
from registry_doubles.bearer import REALM, Bearer
from registry_doubles.proxy import Proxy

from .support import CANARY, IMPATIENT, USERNAME, Client
from .test_copy import assert_same, noise

MIB = 1024 * 1024


def at(place: Client | Proxy, name: str) -> Reference:
    return Reference.parse(f"{place.address}/{name}")


def knowing(front: Proxy, password: str = CANARY) -> StaticCredentials:
    return StaticCredentials({front.address: Credentials(USERNAME, password)})


async def test_credentials_go_to_the_token_service_and_tokens_to_the_registry(
    source: Client, destination: Client
) -> None:
    await source.put_index("bearer/both", "1", [[b"a"], [b"b"]])
    service = Bearer({USERNAME: CANARY})
    with Proxy(destination.address, [service]) as front:
        async with Transport(credentials=knowing(front)) as transport:
            await Copier(transport).copy_image(at(source, "bearer/both:1"), at(front, "both:1"))
        for seen in front.recording.records:
            scheme = (seen.header("Authorization") or "Bearer").partition(" ")[0]
            assert scheme == ("Basic" if seen.target.startswith(REALM) else "Bearer"), seen.target
    await assert_same(source, destination, "bearer/both", "1", "both")


async def test_an_anonymous_token_is_enough_where_the_service_gives_it(
    source: Client, destination: Client
) -> None:
    await source.put_image("bearer/public", "1", [b"layer"])
    with Proxy(source.address, [Bearer()]) as front:
        async with Transport() as transport:
            await Copier(transport).copy_image(at(front, "bearer/public:1"), at(destination, "public:1"))
        assert front.recording.seen("GET", REALM) != []
        assert all(seen.header("Authorization") is None for seen in front.recording.seen("GET", REALM))
    await assert_same(source, destination, "bearer/public", "1", "public")


@pytest.mark.parametrize("uses", [4, 8])
async def test_tokens_that_expire_in_mid_run_are_replaced(
    source: Client, destination: Client, uses: int
) -> None:
    """The service says that they live longer, so that only the registry's 401 tells."""
    await source.put_index("bearer/short", "1", [[b"a", noise("short", 2 * MIB)], [b"b"]])
    service = Bearer({USERNAME: CANARY}, uses=uses)
    with Proxy(destination.address, [service]) as front:
        async with Transport(credentials=knowing(front), retry=IMPATIENT) as transport:
            await Copier(transport).copy_image(at(source, "bearer/short:1"), at(front, "short:1"))
    assert service.issued.total() > 2
    await assert_same(source, destination, "bearer/short", "1", "short")


async def test_wrong_credentials_are_refused_without_being_quoted(
    source: Client, destination: Client
) -> None:
    await source.put_image("bearer/wrong", "1", [b"layer"])
    with Proxy(destination.address, [Bearer({USERNAME: "another"})]) as front:
        async with Transport(credentials=knowing(front), retry=IMPATIENT) as transport:
            with pytest.raises(Unauthorized) as refused:
                await Copier(transport).copy_image(at(source, "bearer/wrong:1"), at(front, "wrong:1"))
    assert CANARY not in str(refused.value)
    assert "127.0.0.1 (token service)" in str(refused.value)


async def test_a_mount_asks_for_a_token_that_may_read_the_other_repository(
    source: Client, destination: Client
) -> None:
    for name in ("one", "two"):
        await source.put_image(f"bearer/{name}", "1", [noise("mounted", MIB), name.encode()])
    service = Bearer({USERNAME: CANARY})
    with Proxy(destination.address, [service]) as front:
        async with Transport(credentials=knowing(front)) as transport:
            copier = Copier(transport)
            await copier.copy_image(at(source, "bearer/one:1"), at(front, "one:1"))
            result = await copier.copy_image(at(source, "bearer/two:1"), at(front, "two:1"))
    assert result.blobs_mounted == 2
    mounting = {"repository:two:pull", "repository:two:push", "repository:one:pull"}
    assert frozenset(mounting) in service.issued
