"""Credentials as `docker login` leaves them, by real files and a real credential helper."""

import base64
import json
from pathlib import Path

import pytest
from dockerimage_replication.oci.credentials import Credentials
from dockerimage_replication.oci.docker_config import DockerConfig
from dockerimage_replication.shared.errors import UserError

CANARY = "canary'\"$pass"


def config(folder: Path, **content: object) -> DockerConfig:
    (folder / "config.json").write_text(json.dumps(content))
    return DockerConfig(folder / "config.json")


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A credential helper `docker-credential-test` on PATH, which notes what it is asked for."""
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\nread host\necho $1 $host >> {folder}/asked\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def answer(username: str) -> str:
    return "echo '" + json.dumps({"Username": username, "Secret": "word"}) + "'"


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("quay.io", "quay.io"),
        ("https://registry.test:5000", "registry.test:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
async def test_an_entry_is_for_its_host_alone(tmp_path: Path, name: str, host: str) -> None:
    store = config(tmp_path, auths={name: auth(f"robot:{CANARY}:more")})
    assert await store.credentials(host, refresh=False) == Credentials("robot", f"{CANARY}:more")
    assert await store.credentials("other.test", refresh=False) is None


async def test_without_a_file_there_are_no_credentials(tmp_path: Path) -> None:
    assert await DockerConfig(tmp_path / "config.json").credentials("quay.io", refresh=False) is None


def test_the_file_is_where_docker_has_it(tmp_path: Path) -> None:
    assert DockerConfig.from_environment({"DOCKER_CONFIG": str(tmp_path)}).path == tmp_path / "config.json"
    assert DockerConfig.from_environment({}).path == Path.home() / ".docker" / "config.json"


@pytest.mark.parametrize("kind", ["credHelpers", "credsStore"])
async def test_a_helper_is_asked_once_until_its_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    helper(tmp_path, monkeypatch, answer("robot"))
    store = config(tmp_path, **{kind: {"quay.io": "test"} if kind == "credHelpers" else "test"})
    for refresh in (False, False, True):
        assert await store.credentials("quay.io", refresh=refresh) == Credentials("robot", "word")
    assert (tmp_path / "asked").read_text() == "get quay.io\n" * 2


async def test_a_helper_that_does_not_know_the_host_has_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, "echo credentials not found; exit 1")
    assert await config(tmp_path, credsStore="test").credentials("quay.io", refresh=False) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"auths": {"quay.io": {"auth": "?"}}}, "holds no user and password"),
        ({"auths": {"quay.io": auth(CANARY)}}, "holds no user and password"),
        ({"credsStore": "missing"}, r"docker-credential-missing.* cannot be run"),
        ({"credsStore": "../../evil"}, "no program's name"),
        ({"credsStore": "a\0b"}, "no program's name"),
    ],
)
async def test_what_makes_no_sense_is_an_error_without_the_secret(
    tmp_path: Path, content: dict[str, object], problem: str
) -> None:
    with pytest.raises(UserError, match=problem) as failed:
        await config(tmp_path, **content).credentials("quay.io", refresh=False)
    assert CANARY not in str(failed.value)


@pytest.mark.parametrize("script", ["echo nonsense", "echo '[]'", answer("<token>")])
async def test_a_helper_that_answers_something_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    helper(tmp_path, monkeypatch, script)
    with pytest.raises(UserError, match="docker-credential-test"):
        await config(tmp_path, credsStore="test").credentials("quay.io", refresh=False)


@pytest.mark.parametrize("text", ["nonsense", "[]"])
async def test_a_file_that_docker_has_not_written_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json is not"):
        await DockerConfig(tmp_path / "config.json").credentials("quay.io", refresh=False)
