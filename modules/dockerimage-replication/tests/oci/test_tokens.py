"""How much of token services is kept."""

import json

import pytest
from dockerimage_replication.oci import authenticator
from dockerimage_replication.oci.authenticator import Authenticator, Authorization
from dockerimage_replication.oci.challenges import Challenge
from dockerimage_replication.oci.credentials import StaticCredentials
from dockerimage_replication.oci.endpoints import Endpoint
from dockerimage_replication.oci.errors import Unauthorized
from yarl import URL

_CHALLENGE = Challenge("bearer", {"realm": "https://tokens/"})


def _answering(token: str) -> Authenticator:
    async def fetch(_: URL, __: Authorization | None) -> bytes:
        return json.dumps({"token": token}).encode()

    return Authenticator(StaticCredentials({}), fetch)


async def _ask(asked: Authenticator, scope: str) -> Authorization:
    endpoint = Endpoint(URL("https://registry"), "", "registry")
    return await asked.answer([_CHALLENGE], endpoint, (scope,), rejected=None, refresh=False)


async def test_a_token_that_fits_no_header_is_none() -> None:
    assert (await _ask(_answering("x" * 16 * 1024), "a")).secrets == ("x" * 16 * 1024,)
    with pytest.raises(Unauthorized, match="a token of 16385 characters"):
        await _ask(_answering("x" * (16 * 1024 + 1)), "a")


async def test_the_oldest_token_goes_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "_KNOWN_TOKENS", 2)
    asked = _answering("token")
    endpoint = Endpoint(URL("https://registry"), "", "registry")

    for scope in "abc":
        await _ask(asked, scope)

    known = [await asked.known(endpoint, (scope,)) is not None for scope in "abc"]
    assert known == [False, True, True]
