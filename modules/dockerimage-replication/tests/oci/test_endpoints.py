"""Endpoints: where a registry is reached."""

import pytest
from dockerimage_replication.oci.endpoints import endpoint_of
from dockerimage_replication.shared.endpoints import Endpoints
from yarl import URL


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("quay.io", "https://quay.io"),
        ("docker.io", "https://registry-1.docker.io"),
        ("registry.test:5000", "https://registry.test:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.1.2.3:5000", "http://127.1.2.3:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("localhost.example", "https://localhost.example"),
    ],
)
def test_a_registry_is_reached_by_https_unless_it_is_on_loopback(registry: str, url: str) -> None:
    assert Endpoints().base_url(registry) == url


def test_an_override_names_another_address_a_prefix_and_its_own_credentials() -> None:
    endpoints = Endpoints.from_json('{"docker.io": "http://mirror.test:5001/hub/"}')
    endpoint = endpoint_of(endpoints, "docker.io")
    assert endpoint.origin == URL("http://mirror.test:5001")
    assert endpoint.prefix == "hub/"
    assert endpoint.credential_host == "mirror.test:5001"
    assert endpoint_of(endpoints, "quay.io").credential_host == "quay.io"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"a": 1}', "must map hosts to URLs"),
        ('{"a": "ftp://b"}', "must be http"),
        ('{"a": "b:5000"}', "must be http"),
        ('{"a": "http://b:99999"}', "must be http"),
        ('{"a": "http://b?c=d"}', "must be http"),
        ('{"a": "http://user:word@b"}', "must not hold credentials"),
    ],
)
def test_a_wrong_override_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        Endpoints.from_json(text)
    assert "word" not in str(refused.value)
