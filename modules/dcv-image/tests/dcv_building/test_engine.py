"""How the container engine is called."""

import stat
from pathlib import Path
from typing import BinaryIO

import pytest
from dcv_fakes import FakeEngine
from dcv_image.shared.ecr import Login
from dcv_image.shared.errors import UserError
from dcv_image.shared_build.engine import Engine

CANARY = "canary-\"'$(x)-password"


def test_the_password_goes_through_standard_input_only(engine: FakeEngine) -> None:
    with Engine.private() as driver:
        driver.login("registry.example.com", Login("AWS", CANARY))

    call = engine.call("login")
    assert call["stdin"] == CANARY
    assert call["argv"] == ["login", "--username", "AWS", "--password-stdin", "registry.example.com"]
    assert CANARY not in str([[item["argv"], item["env"]] for item in engine.calls])


def test_the_password_is_in_no_exception(engine: FakeEngine) -> None:
    engine.behave(fail={"login": "unauthorized"})

    with pytest.raises(UserError) as caught, Engine.private() as driver:
        driver.login("registry.example.com", Login("AWS", CANARY))

    assert CANARY not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    assert CANARY not in repr(Login("AWS", CANARY))


def test_logins_stay_in_a_private_folder_that_is_removed(engine: FakeEngine) -> None:
    with Engine.private() as driver:
        folder = Path(driver.environment["DOCKER_CONFIG"])
        mode = stat.S_IMODE(folder.stat().st_mode)
        driver.login("registry.example.com", Login("AWS", CANARY))

    assert mode == 0o700
    assert engine.call("login")["env"]["DOCKER_CONFIG"] == str(folder)
    assert Path(engine.call("login")["env"]["REGISTRY_AUTH_FILE"]).parent == folder
    assert not folder.exists()


@pytest.mark.parametrize(
    ("client", "buildx", "expected"),
    [("20.10.24", False, "1"), ("28.2.2", True, "1"), ("28.2.2", False, "0"), ("4.3.1", False, "1")],
)
def test_buildkit_is_used_where_the_engine_brings_it(
    engine: FakeEngine, client: str, buildx: bool, expected: str
) -> None:
    engine.behave(client=client, fail={} if buildx else {"buildx": "unknown command"})

    with Engine.private() as driver:
        assert driver.environment["DOCKER_BUILDKIT"] == expected


def test_a_secret_without_buildkit_is_one_message(engine: FakeEngine, tmp_path: Path) -> None:
    engine.behave(client="28.2.2", fail={"buildx": "unknown command"})

    with Engine.private() as driver, pytest.raises(UserError, match=r"needs BuildKit.*install it"):
        driver.build(
            tmp_path,
            "r/x:1",
            dockerfile="Dockerfile",
            arguments={},
            labels={},
            secrets={"os-packages-mirror": tmp_path / "mirror"},
            parameter="base-image",
        )


def test_an_engine_that_does_not_answer_is_one_message(engine: FakeEngine) -> None:
    engine.behave(fail={"version": "Cannot connect to the Docker daemon"})

    with pytest.raises(UserError, match="Cannot connect to the Docker daemon"), Engine.private():
        pass


def test_a_missing_engine_is_one_message(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("PATH", str(tmp_path))

    with pytest.raises(UserError, match="`docker` cannot be run"), Engine.private():
        pass


def test_the_build_is_told_everything_and_secrets_by_file_only(engine: FakeEngine, tmp_path: Path) -> None:
    with Engine.private() as driver:
        driver.build(
            tmp_path,
            "r/x:1",
            dockerfile="a/Dockerfile",
            arguments={"BASE_IMAGE": "b@sha256:1"},
            labels={"l": "v"},
            secrets={"index": tmp_path / "pip.conf"},
            parameter="base-image",
        )

    assert engine.call("build")["argv"] == [
        *("build", "--tag", "r/x:1", "--file", f"{tmp_path}/a/Dockerfile"),
        *("--build-arg", "BASE_IMAGE=b@sha256:1", "--label", "l=v"),
        *("--secret", f"id=index,src={tmp_path}/pip.conf"),
        str(tmp_path),
    ]


def test_the_engine_says_why_it_does_not_load(engine: FakeEngine) -> None:
    engine.behave(fail={"load": "no space left on device"})

    with Engine.private() as driver, pytest.raises(UserError, match="no space left on device"):
        driver.load(lambda stream: [stream.write(bytes(1 << 20)) for _ in range(8)] and None)


def test_an_interrupted_load_ends_the_engine_command_and_stays_an_interrupt(engine: FakeEngine) -> None:
    def interrupted(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with Engine.private() as driver, pytest.raises(KeyboardInterrupt):
        driver.load(interrupted)
