"""`image-builder` and `dcrx-kv`: the database, the first administrator, keys, and building from a shell."""

import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .processes import MODULE, ServiceProcess, clean_environment, service_process
from .running import PASSWORD, request

SCRIPT = Path(__file__).with_name("scripted_server.py")
RUN = "import sys; from image_builder.service_cli import main; sys.exit(main())"


def command(
    environment: dict[str, str], *arguments: str, stdin: str = "", within: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*within, sys.executable, "-c", RUN, *arguments],
        env=clean_environment(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def service(environment: dict[str, str], tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service whose first administrator comes from its environment."""
    variables = {**environment, "DCRX_KV_ADMIN_USERNAME": "admin", "DCRX_KV_ADMIN_PASSWORD": PASSWORD}
    with service_process([str(SCRIPT), "PORT", str(tmp_path / "pushes")], variables, tmp_path) as running:
        yield running


def test_both_names_are_the_same_program() -> None:
    scripts = tomllib.loads((MODULE / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts["image-builder"] == scripts["dcrx-kv"] == "image_builder.service_cli:main"


def test_the_documents_command_makes_the_first_user(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["--first-name", "A", "--last-name", "B", "--email", "a@example.com"]
    arguments = ["database", "initialize", "--username", "admin", "--password", PASSWORD, *arguments]

    first = command(environment, *arguments)
    again = command(environment, *arguments)

    assert (first.returncode, first.stdout) == (0, "user 'admin' was made\n"), first.stderr
    assert (again.returncode, again.stdout) == (0, "user 'admin' was there already and is unchanged\n")
    rows = sqlite3.connect(tmp_path / "dcrx").execute(
        "SELECT username, first_name, last_name, email, administrator, password_hash FROM users"
    )
    ((*person, password_hash),) = rows.fetchall()
    assert person == ["admin", "A", "B", "a@example.com", 1]
    assert password_hash.startswith("$argon2id$")


def test_the_password_comes_by_standard_input_or_file(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    by_file = {**environment, "DCRX_KV_ADMIN_PASSWORD_FILE": str(tmp_path / "password")}

    first = command(
        environment, "database", "initialize", "--username", "a", "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    second = command(by_file, "database", "initialize", "--username", "b")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["--username", "admin"], "", "--password-stdin"),
        (["--username", "admin", "--password-stdin"], "short\n", "10 to 1024 characters"),
        (["--password-stdin"], f"{PASSWORD}\n", "--username"),
    ],
)
def test_an_incomplete_command_says_what_to_give(
    environment: dict[str, str], arguments: list[str], stdin: str, message: str
) -> None:
    done = command(environment, "database", "initialize", *arguments, stdin=stdin)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["database", "initialize", "--username", "a"], ["server", "run"]])
def test_missing_settings_are_named(arguments: list[str]) -> None:
    done = command({}, *arguments)

    assert done.returncode == 2
    assert "DCRX_KV_SECRET_KEY: is required" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_away_is_named_without_its_password(environment: dict[str, str]) -> None:
    variables = {
        **environment,
        "DCRX_KV_DATABASE_URI": "postgresql://me:canary@127.0.0.1:1/x",
        "DCRX_KV_DATABASE_PATIENCE": "100ms",
    }

    done = command(variables, "database", "initialize", "--username", "a", "--password-stdin", stdin=PASSWORD)

    assert done.returncode == 1
    assert "error: the database does not answer: postgresql+asyncpg://me:***@127.0.0.1:1/x" in done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_is_built_and_its_log_followed(service: ServiceProcess, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps(request("from-shell")))

    done = command(
        {"IMAGE_BUILDER_PASSWORD": PASSWORD},
        *("build", str(tmp_path / "request.json"), "--server", service.url, "--username", "admin"),
    )

    assert done.returncode == 0, done.stderr
    assert "building from-shell\n" in done.stderr
    assert "── DONE\n" in done.stderr
    assert done.stdout.startswith("127.0.0.1:5000/team/from-shell@sha256:")


@pytest.mark.parametrize(
    ("content", "password", "status", "message"),
    [
        (json.dumps(request("fails")), PASSWORD, 1, "the job ended as FAILED: it was made to fail"),
        (json.dumps({"name": "x", "layers": []}), PASSWORD, 2, "layers"),
        ("{", PASSWORD, 2, "is not JSON"),
        ("[]", PASSWORD, 2, "must be a JSON object"),
        (json.dumps(request()), "wrong password", 1, "the username or the password is wrong"),
    ],
)
def test_what_goes_wrong_is_said(
    service: ServiceProcess, tmp_path: Path, content: str, password: str, status: int, message: str
) -> None:
    (tmp_path / "request.json").write_text(content)

    done = command(
        {},
        *("build", str(tmp_path / "request.json"), "--server", service.url, "--username", "admin"),
        "--password-stdin",
        stdin=f"{password}\n",
    )

    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_cache_is_shown_and_trimmed(environment: dict[str, str], tmp_path: Path) -> None:
    blobs = tmp_path / "cache" / "blobs"
    blobs.mkdir(parents=True)
    for number in (1, 2):
        (blobs / f"sha256-{number}").write_bytes(bytes(100))
        os.utime(blobs / f"sha256-{number}", (number, number))

    shown = command(environment, "cache", "show")
    trimmed = command(environment, "cache", "trim", "--bytes", "150")
    wrong = command(environment, "cache", "trim", "--bytes", "lots")

    assert shown.returncode == 0, shown.stderr
    assert [line.split()[:2] for line in shown.stdout.splitlines()] == [
        ["100", "blobs/sha256-1"],
        ["100", "blobs/sha256-2"],
        ["200", "bytes"],
    ]
    assert trimmed.stdout.startswith("removed 1 entries, 100 bytes\n100 bytes are left"), trimmed.stderr
    assert [path.name for path in blobs.iterdir()] == ["sha256-2"]
    assert (wrong.returncode, "no number of bytes" in wrong.stderr) == (2, True)
