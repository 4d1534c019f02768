"""docker-registry itself with a certificate and passwords."""

import base64
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from dockerimage_replication.oci.copy import Copier
from dockerimage_replication.oci.credentials import Credentials, StaticCredentials
from dockerimage_replication.oci.errors import RegistryError, Unauthorized
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.shared.endpoints import Endpoints
from registry_doubles.real import PROGRAM, Certificate, docker_registry

from .support import CANARY, CANARY_BCRYPT, IMPATIENT, USERNAME, Client, digest
from .test_copy import noise

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs docker-registry (Debian's package)")

MIB = 1024 * 1024


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate.make(tmp_path)


@pytest.fixture
def protected(tmp_path: Path, certificate: Certificate) -> Iterator[str]:
    (tmp_path / "registry").mkdir()
    users = f"{USERNAME}:{CANARY_BCRYPT}\n"
    with docker_registry(tmp_path / "registry", tls=certificate, htpasswd=users) as address:
        yield address


def over_tls(address: str) -> Endpoints:
    """Loopback is reached by http unless it is said otherwise."""
    return Endpoints({"private.test": f"https://{address}"})


async def test_an_image_arrives_over_tls_with_a_password(
    source: Client, protected: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = noise("tls", 3 * MIB)
    raw = await source.put_index("tls/image", "1", [[content], [b"small"]])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    store = StaticCredentials({protected: Credentials(USERNAME, CANARY)})
    async with Transport(endpoints=over_tls(protected), credentials=store) as transport:
        result = await Copier(transport).copy_image(
            Reference.parse(f"{source.address}/tls/image:1"), Reference.parse("private.test/image:1")
        )
    assert result.digest == digest(raw)
    basic = base64.b64encode(f"{USERNAME}:{CANARY}".encode()).decode()
    async with (
        aiohttp.ClientSession(
            f"https://{protected}",
            headers={"Authorization": f"Basic {basic}"},
            connector=aiohttp.TCPConnector(ssl=certificate.context()),
        ) as session,
        session.get(f"/v2/image/blobs/{digest(content)}") as answer,
    ):
        assert await answer.read() == content


async def test_an_unknown_certificate_is_not_trusted_and_gets_no_password(
    source: Client, protected: str
) -> None:
    store = StaticCredentials({protected: Credentials(USERNAME, CANARY)})
    async with Transport(endpoints=over_tls(protected), credentials=store, retry=IMPATIENT) as transport:
        with pytest.raises(RegistryError, match=r"private\.test.*certificate is not trusted"):
            await Copier(transport).copy_image(
                Reference.parse("private.test/image:1"), Reference.parse(f"{source.address}/tls/no:1")
            )


async def test_a_wrong_password_is_named_by_host_only(
    source: Client, protected: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    store = StaticCredentials({protected: Credentials(USERNAME, "wrong-password")})
    async with Transport(endpoints=over_tls(protected), credentials=store, retry=IMPATIENT) as transport:
        with pytest.raises(Unauthorized) as refused:
            await Copier(transport).copy_image(
                Reference.parse("private.test/image:1"), Reference.parse(f"{source.address}/tls/no:1")
            )
    assert protected in str(refused.value)
    assert "wrong-password" not in str(refused.value)
