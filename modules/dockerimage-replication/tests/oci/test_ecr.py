"""Copies into a registry with the rules of Amazon ECR; each test is about one of them."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from dockerimage_replication.oci.attached import schema_tag
from dockerimage_replication.oci.copy import Copier
from dockerimage_replication.oci.credentials import Credentials
from dockerimage_replication.oci.errors import Denied, NotFound, RegistryError
from dockerimage_replication.oci.manifests import OCI_MANIFEST
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.retry import RetryPolicy
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.oci.upload import FIRST_PART
from dockerimage_replication.shared.endpoints import Endpoints
from registry_doubles.ecr import Ecr, EcrTokens, Rate
from registry_doubles.exchange import Forward, Reply, Request, Rule
from registry_doubles.faults import Fault, FaultPlan, FaultRule
from registry_doubles.proxy import Proxy
from registry_doubles.uploads import AtomicUploads

from .support import Client, descriptor, digest, image_manifest, index_manifest
from .test_copy import assert_same, noise

MIB = 1024 * 1024
PATIENT = RetryPolicy(tries=8, first_delay=0.05, longest_delay=0.5)


@dataclass
class AccountLogin:
    """Gives tokens as `GetAuthorizationToken` does: a new one only when it is asked to refresh."""

    tokens: EcrTokens
    password: str = field(default="")

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        if refresh or not self.password:
            self.password = self.tokens.issue()
        return Credentials("AWS", self.password)


HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def at(source: Client, name: str) -> Reference:
    return Reference.parse(f"{source.address}/{name}")


def ecr(name: str) -> Reference:
    return Reference.parse(f"{HOST}/{name}")


def over(front: Proxy) -> Endpoints:
    """ECR by its real name, so that the client knows what it has before it."""
    return Endpoints({HOST: f"http://{front.address}"})


async def test_a_blob_is_mounted_only_from_an_image_that_is_there(
    source: Client, destination: Client
) -> None:
    shared = noise("ecr", 2 * MIB)
    for name in ("one", "two"):
        await source.put_image(f"ecr/{name}", "1", [shared, name.encode()])
    with Proxy(destination.address, [Ecr()]) as front:
        async with Transport(endpoints=over(front)) as transport:
            copier = Copier(transport)
            await copier.copy_image(at(source, "ecr/one:1"), ecr("ecr/one:1"))
            result = await copier.copy_image(at(source, "ecr/two:1"), ecr("ecr/two:1"))
        mounts = front.recording.seen("POST", "mount=")
    assert result.blobs_mounted == 2  # the layer and the config, which both images have
    assert {seen.status for seen in mounts} == {201}
    await assert_same(source, destination, "ecr/two", "1", "ecr/two")


async def test_images_side_by_side_arrive_although_nothing_can_be_mounted_yet(
    source: Client, destination: Client
) -> None:
    names = [f"side-{number}" for number in range(4)]
    for name in names:
        await source.put_image(f"ecr/{name}", "1", [noise("side", MIB), name.encode()])
    with Proxy(destination.address, [Ecr()]) as front:
        async with Transport(endpoints=over(front)) as transport:
            copier = Copier(transport)
            await asyncio.gather(
                *[copier.copy_image(at(source, f"ecr/{name}:1"), ecr(f"ecr/{name}:1")) for name in names]
            )
    for name in names:
        await assert_same(source, destination, f"ecr/{name}", "1", f"ecr/{name}")


@pytest.mark.parametrize("status", [401, 403, 400])
async def test_a_token_that_expires_in_mid_run_is_renewed(
    source: Client, destination: Client, status: int
) -> None:
    """Private registries say 403, ECR Public says 400, and neither sends a challenge."""
    await source.put_index("ecr/expires", "1", [[b"a", b"b"], [b"c", noise("expires", 3 * MIB)]])
    tokens = EcrTokens(uses=7, expired_status=status)
    with Proxy(destination.address, [Ecr(tokens=tokens)]) as front:
        async with Transport(
            endpoints=over(front), credentials=AccountLogin(tokens), retry=PATIENT
        ) as transport:
            await Copier(transport).copy_image(at(source, "ecr/expires:1"), ecr("expires:1"))
    assert tokens.issued > 1
    await assert_same(source, destination, "ecr/expires", "1", "expires")


@pytest.mark.parametrize("uses", range(1, 9))
async def test_a_token_may_expire_at_any_request(source: Client, destination: Client, uses: int) -> None:
    """Amid the upload of a blob as well, whose content cannot be sent twice."""
    await source.put_image("ecr/any", "1", [noise("any", 3 * MIB)])
    tokens = EcrTokens(uses=uses)

    with Proxy(destination.address, [Ecr(tokens=tokens)]) as front:
        login = AccountLogin(tokens)
        async with Transport(
            endpoints=over(front), credentials=login, retry=PATIENT, concurrency=1
        ) as transport:
            await Copier(transport).copy_image(at(source, "ecr/any:1"), ecr(f"any-{uses}:1"))
    await assert_same(source, destination, "ecr/any", "1", f"any-{uses}")


async def test_what_is_denied_stays_denied(source: Client, destination: Client) -> None:
    await source.put_image("ecr/denied", "1", [b"layer"])

    async def deny(request: Request, forward: Forward) -> Reply:
        reply = await Ecr(tokens=tokens)(request, forward)
        writes = reply.status < 400 and request.method == "POST"
        return Reply.error(403, "DENIED", "User is not authorized to perform: x") if writes else reply

    tokens = EcrTokens(uses=100)
    with Proxy(destination.address, [deny]) as front:
        async with Transport(endpoints=over(front), credentials=AccountLogin(tokens)) as transport:
            with pytest.raises(Denied, match="not authorized to perform"):
                await Copier(transport).copy_image(at(source, "ecr/denied:1"), ecr("denied:1"))
    assert tokens.issued <= 3  # one, and another for each of the two blobs


async def test_more_manifests_than_the_registry_takes_in_a_second(
    source: Client, destination: Client
) -> None:
    names = [str(number) for number in range(24)]
    for name in names:
        await source.put_image("ecr/many", name, [name.encode()])
    with Proxy(destination.address, [Ecr(put_image=Rate(10))]) as front:
        async with Transport(endpoints=over(front)) as transport:
            copier = Copier(transport)
            await asyncio.gather(
                *[copier.copy_image(at(source, f"ecr/many:{name}"), ecr(f"many:{name}")) for name in names]
            )
        assert front.recording.statistics()["statuses"]["429"] > 0  # type: ignore[index]
    for name in names:
        await assert_same(source, destination, "ecr/many", name, "many")


async def test_an_immutable_tag_is_not_written_again_and_a_moved_one_is_an_error(
    source: Client, destination: Client
) -> None:
    await source.put_image("ecr/immutable", "1", [b"old"])
    with Proxy(destination.address, [Ecr(immutable=True)]) as front:
        for _ in range(2):
            async with Transport(endpoints=over(front)) as transport:
                await Copier(transport).copy_image(at(source, "ecr/immutable:1"), ecr("immutable:1"))
        assert len(front.recording.seen("PUT", "/manifests/1")) == 1
        await source.put_image("ecr/immutable", "1", [b"new"])
        async with Transport(endpoints=over(front)) as transport:
            with pytest.raises(RegistryError, match=r"immutable:1: .*repository is immutable"):
                await Copier(transport).copy_image(at(source, "ecr/immutable:1"), ecr("immutable:1"))


async def test_a_repository_that_does_not_exist_is_named(source: Client, destination: Client) -> None:
    await source.put_image("ecr/homeless", "1", [b"layer"])
    with Proxy(destination.address, [Ecr(repositories={"other"})]) as front:
        async with Transport(endpoints=over(front)) as transport:
            with pytest.raises(NotFound, match=r"homeless.*NAME_UNKNOWN"):
                await Copier(transport).copy_image(at(source, "ecr/homeless:1"), ecr("homeless:1"))


@pytest.mark.parametrize("tells_progress", [False, True])
async def test_a_large_blob_arrives_in_parts_that_are_large_enough(
    source: Client, destination: Client, tells_progress: bool
) -> None:
    """Parts are answered with 201 and a Range that stays behind, or as the specification has it."""
    content = noise("parts", 26 * MIB)
    await source.put_image("ecr/parts", "1", [content])
    uploads = AtomicUploads(tells_progress=tells_progress, minimum_part=5 * MIB)
    with Proxy(destination.address, [Ecr(uploads=uploads)]) as front:
        async with Transport(endpoints=over(front)) as transport:
            await Copier(transport).copy_image(at(source, "ecr/parts:1"), ecr("parts:1"))
    assert uploads.refused == 0
    assert await destination.get_blob("parts", digest(content)) == content


class OnSecondPart(FaultPlan):
    """One fault, when a second part is sent for the first time."""

    def fault(self, request: Request, occurrence: int) -> Fault | None:
        begins = request.headers.get("Content-Range", "").partition("-")[0]
        return self.kinds[0] if occurrence == 0 and begins == str(FIRST_PART) else None


@pytest.mark.parametrize("kind", [Fault.RESET_BEFORE, Fault.RESET_IN_REQUEST, Fault.RESET_AFTER])
async def test_an_upload_that_breaks_off_goes_on_where_it_stands(
    source: Client, destination: Client, kind: Fault
) -> None:
    """Nobody can ask ECR how much it has: it says so when a part begins elsewhere."""
    content = noise("broken", 3 * FIRST_PART)
    await source.put_image("ecr/broken", "1", [content])
    uploads = AtomicUploads(tells_progress=False, minimum_part=5 * MIB)
    rules: list[Rule] = [FaultRule(OnSecondPart(0, kinds=[kind])), Ecr(uploads=uploads)]
    with Proxy(destination.address, rules) as front:
        async with Transport(endpoints=over(front), retry=PATIENT) as transport:
            await Copier(transport).copy_image(at(source, "ecr/broken:1"), ecr("broken:1"))
        assert len([seen for seen in front.recording.seen("POST") if seen.status == 202]) == 2  # one a blob
    assert uploads.applied - len(content) < 100  # the config
    assert (uploads.refused > 0) == (kind is Fault.RESET_AFTER)
    assert await destination.get_blob("broken", digest(content)) == content


async def test_the_referrers_endpoint_is_refused(destination: Client) -> None:
    with Proxy(destination.address, [Ecr()]) as front:
        url = f"http://{front.address}/v2/a/referrers/{digest(b'x')}"
        async with destination._session.get(url) as answer:
            assert answer.status == 405


async def test_an_image_arrives_without_the_referrers_that_the_registry_refuses(
    source: Client, destination: Client
) -> None:
    image = await source.put_image("ecr/signed", "1", [b"layer"])
    signature = json.loads(image_manifest(b"{}", [b"signature"]))
    signature["subject"] = descriptor(image, OCI_MANIFEST)
    raw = json.dumps(signature).encode()
    for blob in (b"{}", b"signature"):
        await source.put_blob("ecr/signed", blob)
    await source.put_manifest("ecr/signed", digest(raw), raw)
    await source.put_manifest("ecr/signed", schema_tag(digest(image)), index_manifest([raw]))

    with Proxy(destination.address, [Ecr(refuses_subjects=True)]) as front:
        async with Transport(endpoints=over(front)) as transport:
            result = await Copier(transport).copy_image(at(source, "ecr/signed:1"), ecr("signed:1"))

    assert (result.attached, result.refused) == ((), (digest(raw),))
    await assert_same(source, destination, "ecr/signed", "1", "signed")
