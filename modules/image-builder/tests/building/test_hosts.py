"""Where a request may lead: public hosts, those that an administrator has allowed, and no others."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from image_builder.building.errors import DownloadError, LimitExceededError, NotAllowedError
from image_builder.building.fetch import Allowance, Bounds, fetch
from image_builder.building.hosts import HostPolicy, is_public
from image_builder.building.settings import Limits
from image_builder.layers.image import Image
from image_builder.layers.request import Registry
from image_builder.shared.endpoints import Endpoints
from pydantic import ValidationError

from .file_server import served
from .support import Bench, file_entry


def bounds() -> Bounds:
    """A thousand bytes for each file, and for all of them."""
    return Bounds(1000, Allowance(1000))


INSIDE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "ff02::1",
    "not-an-address",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_networks_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:2278/users",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://127.1/",
        "http://017700000001/",
    ],
)
def test_urls_into_the_network_are_refused(builder: Bench, base: str, url: str) -> None:
    with pytest.raises((NotAllowedError, ValidationError)):
        builder.build(Image("ssrf").stage(base, "1").add(f"{url}x", "/x"))


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1:5000", "localhost:5000"])
def test_bases_and_registries_in_the_network_are_refused_too(builder: Bench, base: str, address: str) -> None:
    with pytest.raises(NotAllowedError, match="base"):
        builder.build(Image("x").stage(f"{address}/team/x", "1"))
    with pytest.raises(NotAllowedError, match=r"registry\.registry_url"):
        builder.build(Image("x", registry=Registry(registry_url=f"http://{address}")).stage(base, "1"))


async def test_a_name_that_changes_its_address_between_two_questions_gains_nothing() -> None:
    answers = iter([["93.184.216.34"], ["169.254.169.254"]])

    async def rebinding(host: str) -> list[str]:
        return next(answers)

    policy = HostPolicy(frozenset(), Endpoints(), rebinding)
    await policy.check("evil.example", "add")

    with pytest.raises(NotAllowedError):
        await policy.lookup("evil.example", 80)


async def test_one_address_inside_among_public_ones_is_enough_to_refuse() -> None:
    async def both(host: str) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(NotAllowedError):
        await HostPolicy(frozenset(), Endpoints(), both).check("evil.example", "add")


@pytest.fixture
def server() -> Iterator[str]:
    """A server of files on loopback."""
    with served() as address:
        yield address


def allowing(builder: Bench, host: str) -> Bench:
    return replace(builder, settings=replace(builder.settings, allowed_hosts=frozenset({host})))


def test_a_host_that_is_allowed_is_asked(builder: Bench, base: str, server: str) -> None:
    checksum = f"sha256:{sha256(b'content').hexdigest()}"
    image = Image("fetched").stage(base, "1").add(f"http://{server}/file", "/srv/", checksum=checksum)

    allowing(builder, server).build(image)

    assert builder.pull("team/fetched:latest").tree["srv/file"] == file_entry(b"content", 0o600)


def test_a_redirect_into_the_network_is_refused(builder: Bench, base: str, server: str) -> None:
    image = Image("x").stage(base, "1").add(f"http://{server}/to?http://169.254.169.254/x", "/x")

    with pytest.raises(NotAllowedError, match=r"169\.254\.169\.254"):
        allowing(builder, server).build(image)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("absent", "answers HTTP 404"),
        ("to?file:///etc/passwd", "no plain http or https URL"),
        ("to?http://user:password@{server}/file", "no plain http or https URL"),
        ("to?/to?/to?/to?/to?/to?/to?/file", "more than 5 redirects"),
    ],
)
async def test_what_gives_no_file_is_named(server: str, tmp_path: Path, path: str, problem: str) -> None:
    policy = HostPolicy(frozenset({server}), Endpoints())
    url = f"http://{server}/{path}".replace("{server}", server)

    with pytest.raises(DownloadError) as raised:
        await fetch(url, tmp_path / "x", policy, bounds(), None)

    assert problem in str(raised.value)
    assert "password" not in str(raised.value).replace("to?", "")


async def test_a_wrong_checksum_and_too_large_a_file_are_refused(server: str, tmp_path: Path) -> None:
    policy = HostPolicy(frozenset({server}), Endpoints())

    with pytest.raises(DownloadError, match="has the checksum"):
        await fetch(f"http://{server}/file", tmp_path / "x", policy, bounds(), f"sha256:{'0' * 64}")
    with pytest.raises(LimitExceededError, match="more than 1000 bytes"):
        await fetch(f"http://{server}/endless", tmp_path / "x", policy, bounds(), None)


async def test_files_are_bounded_together(server: str, tmp_path: Path) -> None:
    policy = HostPolicy(frozenset({server}), Endpoints())
    both = Bounds(1000, Allowance(10))

    await fetch(f"http://{server}/file", tmp_path / "x", policy, both, None)
    with pytest.raises(LimitExceededError, match="files from URLs have more than 10 bytes"):
        await fetch(f"http://{server}/file", tmp_path / "y", policy, both, None)


def test_limits_have_defaults_that_hold() -> None:
    assert Limits().download <= Limits().unpacked <= Limits().disk
