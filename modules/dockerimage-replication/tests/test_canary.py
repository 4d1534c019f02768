"""A secret with every character that could break out of somewhere shows up nowhere.

Every host of a whole `apply` is a recording proxy: the public registry, the private one with its token
service, the storage that it redirects to, the chart repository, and the account's registry.
"""

import base64
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from dockerimage_replication import apply
from dockerimage_replication.shared import edge
from registry_doubles.bearer import REALM, Bearer
from registry_doubles.exchange import Forward, Reply, Request, Rule, parse_path
from registry_doubles.proxy import Proxy
from registry_doubles.recording import Record
from replication_support import ECR_HOST, World, basic

USER = "robot"
CANARY = "kanari\"7f'3a $HOME ${PATH} `id` \\n\n\t%0a & <b> ; ä"
FORMS = {
    CANARY,
    CANARY.partition("\n")[0],
    json.dumps(CANARY)[1:-1],
    repr(CANARY)[1:-1],
    quote(CANARY),
    quote_plus(CANARY),
    basic(USER, CANARY).removeprefix("Basic "),
    base64.b64encode(CANARY.encode()).decode(),
    "kanari",
}


def assert_without_secret(text: str, where: str) -> None:
    for form in FORMS:
        assert form not in text, where


@pytest.fixture(scope="session")
def audited() -> list[str]:
    """What other programs were started with; an audit hook stays for as long as the process."""
    seen: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            seen.append(repr(arguments))

    sys.addaudithook(hook)
    return seen


@dataclass
class Hosts:
    """All hosts of a run, each with its recording."""

    public: Proxy
    private: Proxy
    storage: Proxy
    hostile: Proxy
    account: Proxy

    def records(self) -> list[Record]:
        places = (self.public, self.private, self.storage, self.hostile, self.account)
        return [record for place in places for record in place.recording.records]


def wants_basic() -> Rule:
    async def rule(request: Request, forward: Forward) -> Reply:
        if request.headers.get("Authorization", "").startswith("Basic "):
            return await forward(request)
        return Reply.error(401, "UNAUTHORIZED", "login", {"WWW-Authenticate": 'Basic realm="x"'})

    return rule


def refuses_everything() -> Rule:
    """Asks for credentials, refuses to serve with those it gets, and quotes them."""

    async def rule(request: Request, forward: Forward) -> Reply:
        sent = request.headers.get("Authorization")
        if sent and request.method == "HEAD":  # an answer to it could quote nothing
            return await forward(request)
        if sent:
            return Reply.error(403, "DENIED", f"bad credentials: {sent}")
        return Reply.error(401, "UNAUTHORIZED", "login", {"WWW-Authenticate": 'Basic realm="x"'})

    return rule


def redirects_blobs(storage: Proxy) -> Rule:
    async def rule(request: Request, forward: Forward) -> Reply:
        place = parse_path(request.path)
        if request.method == "GET" and place and place.kind == "blobs":
            return Reply.of(307, {"Location": f"http://{storage.address}{request.path}?X-Amz-Signature=s"})
        return await forward(request)

    return rule


@pytest.fixture
def hosts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    with ExitStack() as stack:
        storage = stack.enter_context(Proxy(world.source.address))
        made = Hosts(
            public=stack.enter_context(Proxy(world.source.address)),
            private=stack.enter_context(
                Proxy(world.source.address, [Bearer({USER: CANARY}), redirects_blobs(storage)])
            ),
            storage=storage,
            hostile=stack.enter_context(Proxy(world.source.address, [refuses_everything()])),
            account=stack.enter_context(Proxy(world.destination.address, [wants_basic()])),
        )
        endpoints = {
            ECR_HOST: made.account,
            "internet.local": made.public,
            "proxy.local": made.private,
            "hostile.local": made.hostile,
            "charts.internet.local": world.charts,
        }
        monkeypatch.setenv(
            "SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS",
            json.dumps({host: f"http://{place.address}" for host, place in endpoints.items()}),
        )
        monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")
        secret = json.dumps({"username": USER, "password": CANARY})
        world.aws.secrets.create_secret(Name="helm", SecretString=secret)
        world.charts.password = CANARY
        world.source.push_image("mirror/team/private", "1", b"private")
        world.version = {"docker_mappings": {"private.local": "proxy.local/mirror"}}
        world.default["additional_images"]["private"] = "private.local/team/private:1"
        yield made


def assert_nowhere(world: World, hosts: Hosts, audited: list[str], printed: str) -> None:
    assert_without_secret(printed, "output")
    for started in audited:
        assert_without_secret(started, "argv or environment of a child")
    for file in Path().absolute().rglob("*"):
        if file.is_file():
            assert_without_secret(file.read_bytes().decode("latin-1"), str(file))
            assert_without_secret(file.read_text(errors="replace"), str(file))
    for record in hosts.records():
        assert_without_secret(record.target, f"{record.method} {record.target}")
        for name, value in record.headers:
            if name.lower() != "authorization":
                assert_without_secret(value, f"{name} of {record.method} {record.target}")
    for path, _ in world.charts.requests:
        assert_without_secret(path, path)
    for bucket in world.aws.s3.list_buckets()["Buckets"]:
        for item in world.aws.s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            body = world.aws.s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
            assert_without_secret(body.decode("latin-1"), item["Key"])


def test_a_run_that_needs_the_secret_leaves_no_trace_of_it(
    world: World,
    hosts: Hosts,
    audited: list[str],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("dockerimage_replication", "aiohttp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    del audited[:]

    world.apply()

    printed = capfd.readouterr()
    assert_nowhere(world, hosts, audited, printed.out + printed.err + caplog.text)
    assert world.destination.digest("idf-private.local/team/private", "1") is not None


def test_the_secret_goes_to_its_own_hosts_and_to_nobody_else(world: World, hosts: Hosts) -> None:
    world.apply()

    secret = basic(USER, CANARY)
    assert world.charts.requests[0][1] is None  # only in answer to a challenge
    assert {header for _, header in world.charts.requests} == {None, secret}
    hosts.public.recording.assert_no_authorization()
    assert hosts.public.recording.records != []
    for record in hosts.private.recording.records:
        sent = record.header("Authorization") or ""
        assert (sent == secret) == record.target.startswith(REALM), record.target
    account = hosts.account.recording.authorizations()
    assert account != set()
    assert secret not in account


def test_a_redirect_to_another_origin_takes_no_authorization_along(world: World, hosts: Hosts) -> None:
    world.apply()

    methods = [seen.method for seen in hosts.storage.recording.records]
    assert set(methods) == {"GET"}
    assert len(methods) >= 2  # its layers; another image may bring the same configs first
    hosts.storage.recording.assert_no_authorization()


def test_a_host_without_credentials_may_ask_and_gets_none(
    world: World, hosts: Hosts, capfd: pytest.CaptureFixture[str], audited: list[str]
) -> None:
    world.default["additional_images"]["hostile"] = "hostile.local/team/agent:1"
    world.write_data()
    del audited[:]

    assert edge.run(apply.apply) == 1

    printed = capfd.readouterr()
    assert "hostile.local/team/agent:1: " in printed.err
    hosts.hostile.recording.assert_no_authorization()
    assert hosts.hostile.recording.records != []
    assert_nowhere(world, hosts, audited, printed.out + printed.err)


@pytest.mark.parametrize("place", ["registry", "charts"])
def test_a_secret_that_is_refused_is_in_no_message_and_no_traceback(
    world: World, hosts: Hosts, audited: list[str], capfd: pytest.CaptureFixture[str], place: str
) -> None:
    if place == "charts":
        world.charts.password = "another"
    else:
        world.version["docker_mappings"] = {"private.local": "hostile.local/mirror"}
    world.write_data()
    del audited[:]

    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever it is, it must not hold the secret
        apply.apply()

    assert_without_secret("".join(traceback.format_exception(failed.value)), "traceback")
    printed = capfd.readouterr()
    assert_nowhere(world, hosts, audited, printed.out + printed.err)
    if place == "registry":  # the secret was really tried
        assert hosts.hostile.recording.authorizations() == {basic(USER, CANARY)}
