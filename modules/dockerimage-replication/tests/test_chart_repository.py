"""Charts from http(s) chart repositories."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from dockerimage_replication.charts.archive import ChartError
from dockerimage_replication.charts.repository import MAX_PROVENANCE, ChartRepositories, reached
from dockerimage_replication.oci.credentials import Credentials, StaticCredentials
from dockerimage_replication.oci.errors import RegistryError
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.shared.endpoints import Endpoints
from replication_support import ChartServer, basic, chart_archive
from yarl import URL

REPOSITORY = "https://charts.internet.local/charts"


@pytest.fixture
def endpoints(chart_server: ChartServer) -> Endpoints:
    return Endpoints({"charts.internet.local": f"http://{chart_server.address}"})


@pytest_asyncio.fixture
async def repositories(endpoints: Endpoints) -> AsyncIterator[ChartRepositories]:
    async with Transport(endpoints=endpoints) as transport:
        yield ChartRepositories(transport, endpoints)


async def test_a_chart_is_found_by_name_and_version(
    chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    archive = chart_archive("app", "1.2.3")
    chart_server.add("app", "1.2.2", chart_archive("app", "1.2.2"))
    chart_server.add("app", "1.2.3", archive)

    fetched = await repositories.fetch(REPOSITORY, "app", "1.2.3")

    assert fetched.archive == archive
    assert fetched.chart.version == "1.2.3"


@pytest.mark.parametrize(
    ("published", "asked"),
    [("v3.21.4", "3.21.4"), ("3.21.4", "v3.21.4"), ("1.0.0+build.5", "1.0.0+build.5"), ("1.10", "1.10")],
)
async def test_a_version_may_have_a_v_or_a_plus(
    published: str, asked: str, chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", published, chart_archive("app", published))

    assert (await repositories.fetch(REPOSITORY, "app", asked)).chart.version == published


async def test_the_index_is_fetched_once(chart_server: ChartServer, repositories: ChartRepositories) -> None:
    for version in ("1.0.0", "2.0.0"):
        chart_server.add("app", version, chart_archive("app", version))

    for version in ("1.0.0", "2.0.0"):
        await repositories.fetch(REPOSITORY, "app", version)

    assert [path for path, _ in chart_server.requests].count("/charts/index.yaml") == 1


async def test_urls_may_be_absolute_or_relative(
    chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    archive = chart_archive("app", "1.0.0")
    chart_server.files["/elsewhere/a.tgz"] = archive
    chart_server.add("app", "1.0.0", archive, urls=["https://charts.internet.local/elsewhere/a.tgz"])
    chart_server.add("app", "2.0.0", chart_archive("app", "2.0.0"), urls=["/charts/app-2.0.0.tgz"])

    assert (await repositories.fetch(REPOSITORY, "app", "1.0.0")).archive == archive
    assert (await repositories.fetch(REPOSITORY, "app", "2.0.0")).chart.version == "2.0.0"


async def test_other_bytes_than_the_index_says_are_refused(
    chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"), digest="0" * 64)

    with pytest.raises(ChartError, match="has not the digest"):
        await repositories.fetch(REPOSITORY, "app", "1.0.0")


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [("other", "1.0.0", "no chart of this name"), ("app", "9.9.9", r"not have this version.*1\.0\.0")],
)
async def test_what_is_not_there_is_named(
    name: str, version: str, said: str, chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"))

    with pytest.raises(ChartError, match=said):
        await repositories.fetch(REPOSITORY, name, version)


@pytest.mark.parametrize("index", [b"", b"- a", b"entries: []", b"[" * 9999, b"<html></html>"])
async def test_something_that_is_no_index_is_refused(
    index: bytes, chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.files["/charts/index.yaml"] = index

    with pytest.raises(ChartError, match="is not the index of a chart repository"):
        await repositories.fetch(REPOSITORY, "app", "1.0.0")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a", "https://u:p@example.com/a"])
async def test_a_url_that_is_not_http_is_refused(
    url: str, chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"), urls=[url])

    with pytest.raises(ChartError, match=r"no http\(s\) URL"):
        await repositories.fetch(REPOSITORY, "app", "1.0.0")


async def test_credentials_answer_a_challenge_and_are_not_sent_before(
    chart_server: ChartServer, endpoints: Endpoints
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"))
    chart_server.password = "canary"
    store = StaticCredentials({chart_server.address: Credentials("robot", "canary")})

    async with Transport(endpoints=endpoints, credentials=store) as transport:
        await ChartRepositories(transport, endpoints).fetch(REPOSITORY, "app", "1.0.0")

    assert chart_server.requests[0] == ("/charts/index.yaml", None)
    assert chart_server.requests[1] == ("/charts/index.yaml", basic("robot", "canary"))


async def test_an_archive_on_another_host_gets_no_credentials(
    chart_server: ChartServer, endpoints: Endpoints
) -> None:
    with ChartServer() as other:
        other.files["/app.tgz"] = chart_archive("app", "1.0.0")
        other.password = "canary"
        chart_server.add("app", "1.0.0", b"", urls=[f"http://{other.address}/app.tgz"])
        chart_server.password = "canary"
        store = StaticCredentials({chart_server.address: Credentials("robot", "canary")})

        async with Transport(endpoints=endpoints, credentials=store) as transport:
            with pytest.raises(RegistryError, match="none are configured"):
                await ChartRepositories(transport, endpoints).fetch(REPOSITORY, "app", "1.0.0")

        assert other.requests == [("/app.tgz", None)]


def test_an_override_replaces_the_base_and_keeps_the_path() -> None:
    endpoints = Endpoints({"charts.example": "http://127.0.0.1:5002/mirror"})

    url, endpoint = reached(URL("https://charts.example/team/index.yaml?a=b"), endpoints)

    assert str(url) == "http://127.0.0.1:5002/mirror/team/index.yaml?a=b"
    assert endpoint.credential_host == "127.0.0.1:5002"


PROVENANCE = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nname: app\n"


async def test_a_provenance_file_comes_with_its_chart(
    chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"))
    chart_server.files["/charts/app-1.0.0.tgz.prov"] = PROVENANCE

    assert (await repositories.fetch(REPOSITORY, "app", "1.0.0")).provenance == PROVENANCE


@pytest.mark.parametrize("answer", [None, b"<html>a page for every address</html>", b""])
async def test_a_chart_need_not_have_one(
    answer: bytes | None, chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"))
    if answer is not None:
        chart_server.files["/charts/app-1.0.0.tgz.prov"] = answer

    assert (await repositories.fetch(REPOSITORY, "app", "1.0.0")).provenance is None


async def test_a_provenance_file_without_end_is_refused(
    chart_server: ChartServer, repositories: ChartRepositories
) -> None:
    chart_server.add("app", "1.0.0", chart_archive("app", "1.0.0"))
    chart_server.files["/charts/app-1.0.0.tgz.prov"] = PROVENANCE + bytes(MAX_PROVENANCE)

    with pytest.raises(ChartError, match=r"provenance of app 1\.0\.0 is larger than"):
        await repositories.fetch(REPOSITORY, "app", "1.0.0")
