"""What the manager's environment means, and what becomes of a value that means nothing."""

from pathlib import Path

import pytest
from kvdi_desktop.settings import Settings, read


def settings(uid: int = 9000, **environment: str) -> Settings:
    return read(environment, uid, uid)


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def test_the_newer_manager() -> None:
    read = settings(USER="alice", UID="9000", HOME="/home/alice", ENABLE_ROOT="true")

    assert (read.user, read.uid, read.home, read.root_allowed) == ("alice", 9000, Path("/home/alice"), True)


def test_the_older_manager_sets_neither_uid_nor_home() -> None:
    # The engine sets HOME to / when the image's list of accounts has no folder for the user.
    read = settings(USER="alice", HOME="/")

    assert (read.uid, read.home, read.root_allowed) == (9000, Path("/home/alice"), False)


def test_an_arbitrary_uid_is_kept_and_the_sidecars_folder_too(log: pytest.CaptureFixture[str]) -> None:
    read = settings(uid=1000680000, UID="9000", USER="alice")

    assert (read.uid, read.audio_uid) == (1000680000, 9000)
    assert "UID is 9000, but the container runs with uid 1000680000" in log.readouterr().err


def test_root_hands_over_to_the_uid_that_is_asked_for() -> None:
    assert settings(uid=0, UID="4711").uid == 4711


@pytest.mark.parametrize("uid", ["0", "-1", "abc", "99999999999", "9" * 5000])
def test_what_is_no_users_uid(uid: str, log: pytest.CaptureFixture[str]) -> None:
    assert settings(uid=0, UID=uid).uid == 9000
    assert f"UID is {uid!r}" in log.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("alice@example.com", "alice_example.com"),
        ("a b", "a_b"),
        ("x:0:0:root", "x_0_0_root"),
        ("evil\nroot::0:0", "evil_root_0_0"),
        ("../..", "user"),
        ("ü", "user"),
        ("root", "user"),
        ("1st", "user"),
    ],
)
def test_a_strange_user_gets_a_name_that_works(
    wanted: str, name: str, log: pytest.CaptureFixture[str]
) -> None:
    read = settings(USER=wanted)

    assert read.user == name
    assert read.home == Path("/home") / name
    assert f"USER is {wanted!r}" in log.readouterr().err


@pytest.mark.parametrize("home", ["relative", "/home/a:b", "/home/a\nb", "/home/../etc"])
def test_a_strange_home(home: str, log: pytest.CaptureFixture[str]) -> None:
    assert settings(USER="alice", HOME=home).home == Path("/home/alice")
    assert f"HOME is {home!r}" in log.readouterr().err


def test_a_language_that_the_image_has(tmp_path: Path) -> None:
    (tmp_path / "de_DE.utf8").mkdir()

    assert read({"LANG": "de_DE.UTF-8"}, 9000, 9000, tmp_path).language == "de_DE.UTF-8"


@pytest.mark.parametrize("language", ["xx_YY.UTF-8", "../../etc", "de_DE; reboot"])
def test_a_language_that_it_does_not_have(
    language: str, tmp_path: Path, log: pytest.CaptureFixture[str]
) -> None:
    assert read({"LANG": language}, 9000, 9000, tmp_path).language == "C.UTF-8"
    assert f"LANG is {language!r}" in log.readouterr().err


def test_the_keyboard() -> None:
    read = settings(KEYBOARD_LAYOUT="de,us", KEYBOARD_VARIANT="nodeadkeys,", KEYBOARD_OPTIONS="grp:alt_shift")

    assert read.keyboard == ("-layout", "de,us", "-variant", "nodeadkeys,", "-option", "grp:alt_shift")


def test_what_is_no_keyboard_is_ignored(log: pytest.CaptureFixture[str]) -> None:
    assert settings(KEYBOARD_LAYOUT="de; reboot").keyboard == ()
    assert "KEYBOARD_LAYOUT" in log.readouterr().err
