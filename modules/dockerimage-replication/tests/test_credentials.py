"""Credentials go to their own hosts, and no message quotes them."""

import json

import pytest
from dockerimage_replication.aws import Aws
from dockerimage_replication.credentials import HelmSecret, RunCredentials, lock_credentials
from dockerimage_replication.lock import Lock, LockedChart, LockedImage
from dockerimage_replication.oci.credentials import Credentials
from dockerimage_replication.settings import Parameters
from dockerimage_replication.shared.errors import UserError
from replication_support import ECR_HOST

CANARY = "canary-password"
ENTRY = {"username": "robot", "password": CANARY}


def secret(aws: Aws, content: object, key: str | None = None) -> HelmSecret:
    text = content if isinstance(content, str) else json.dumps(content)
    aws.secrets.create_secret(Name="team-secret", SecretString=text)
    return HelmSecret(aws.secrets, "team-secret", key)


def store(aws: Aws, helm: HelmSecret | None) -> RunCredentials:
    return RunCredentials(aws.ecr, ECR_HOST, helm, frozenset({"charts.example"}))


@pytest.mark.parametrize(("content", "key"), [(ENTRY, None), ({"team": ENTRY}, "team")])
async def test_the_secret_may_nest_its_entries_once(aws: Aws, content: object, key: str | None) -> None:
    found = await store(aws, secret(aws, content, key)).credentials("charts.example", refresh=False)

    assert found == Credentials("robot", CANARY)


async def test_only_hosts_of_the_secret_get_it(aws: Aws) -> None:
    credentials = store(aws, secret(aws, ENTRY))

    assert await credentials.credentials("other.example", refresh=False) is None
    assert await credentials.credentials("charts.example:8443", refresh=False) is None


async def test_with_a_lock_the_secret_belongs_to_mapped_hosts_and_chart_repositories(aws: Aws) -> None:
    secret(aws, ENTRY)
    digest = f"sha256:{'a' * 64}"
    lock = Lock(
        "inputs",
        images={
            "private/a:1": LockedImage("quay.io/a:1", "mirror.example/a:1", digest),
            "private/b:1": LockedImage("b:1", "docker.io/library/b:1", digest),
            "private/c:1": LockedImage("ghcr.io/c:1", "ghcr.io/c:1", digest),
        },
        charts={
            "private/d:1": LockedChart("d", "1", "https://charts.example/stable", digest),
            "private/e:1": LockedChart("e", "1", "oci://oci.example/x", digest, "proxy.example/x/e:1"),
        },
    )
    parameters = Parameters(
        eks_version="1.33",
        helm_repo_secret_name="team-secret",
        registry_endpoints='{"mirror.example": "https://real.example:8443"}',
    )

    credentials = lock_credentials(parameters, lock, aws)

    for host in ("real.example:8443", "charts.example", "oci.example", "proxy.example"):
        assert await credentials.credentials(host, refresh=False) == Credentials("robot", CANARY)
    for host in ("quay.io", "mirror.example", "docker.io", "ghcr.io"):
        assert await credentials.credentials(host, refresh=False) is None


async def test_the_account_registry_gets_its_own_login_even_if_the_secret_names_it(aws: Aws) -> None:
    helm = secret(aws, ENTRY)
    credentials = RunCredentials(aws.ecr, ECR_HOST, helm, frozenset({ECR_HOST}))

    found = await credentials.credentials(ECR_HOST, refresh=False)

    assert found is not None
    assert found.username == "AWS"


async def test_without_a_secret_there_are_no_credentials(aws: Aws) -> None:
    assert await store(aws, None).credentials("charts.example", refresh=False) is None


async def test_a_changed_secret_is_read_again_when_the_old_one_is_refused(aws: Aws) -> None:
    credentials = store(aws, secret(aws, ENTRY))
    await credentials.credentials("charts.example", refresh=False)
    aws.secrets.put_secret_value(
        SecretId="team-secret", SecretString=json.dumps({**ENTRY, "password": "new"})
    )

    assert await credentials.credentials("charts.example", refresh=False) == Credentials("robot", CANARY)
    assert await credentials.credentials("charts.example", refresh=True) == Credentials("robot", "new")


@pytest.mark.parametrize(
    ("content", "key", "said"),
    [
        (CANARY, None, "is not JSON"),
        ([CANARY], None, "is not a JSON object"),
        ({"password": CANARY}, None, "has no texts `username` and `password`"),
        ({"team": ENTRY}, "other", "has no entry `other`"),
        ({"team": CANARY}, "team", "has no entry `team`"),
        ({"team": {"username": CANARY}}, "team", "`password` in its entry `team`"),
    ],
)
def test_a_secret_of_another_shape_is_named_and_not_quoted(
    aws: Aws, content: object, key: str | None, said: str
) -> None:
    with pytest.raises(UserError) as error:
        secret(aws, content, key).read()

    message = str(error.value)
    assert said in message
    assert "`team-secret` (manifest parameter `helm-repo-secret-name`)" in message
    assert CANARY not in message


def test_a_missing_secret_is_named(aws: Aws) -> None:
    with pytest.raises(UserError, match=r"`absent`.*ResourceNotFoundException"):
        HelmSecret(aws.secrets, "absent", None).read()


def test_a_password_is_in_no_repr(aws: Aws) -> None:
    assert CANARY not in repr(secret(aws, ENTRY).read())
