"""The start, in containers with a read-only root, four capabilities and no new privileges."""

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from .conftest import PASSWORD, SECRET, USER
from .containers import CAPABILITIES, VOLUMES, Container, docker, until
from .namespace import inside
from .pods import Pod
from .secrets_double import SecretsDouble

pytestmark = pytest.mark.engine

FRAGMENT = "9f2cNotInAnyLog71"
# 128 characters: quotes of all kinds, what shells and JSON treat in their own way, a line break.
CANARY = ("\"'`$HOME$(id)\\\n%s;&|<>:#!{}~ é" + FRAGMENT).ljust(128, "x")


def log_in(container: Container, user: str, password: str) -> bool:
    """What a client of the DCV server does, at the stand-in's port."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = inside(container.process(), lambda: socket.create_connection(("127.0.0.1", 8443), 30))
    with context.wrap_socket(plain) as connection, connection.makefile("rw") as lines:
        lines.write(json.dumps({"user": user, "password": password}) + "\n")
        lines.flush()
        return bool(json.loads(lines.readline())["login"])


def ends_with_error(container: Container) -> str:
    """The one line for the user of a start that fails."""
    assert container.wait() == 1
    log = container.log()
    assert "Traceback" not in log
    lines = [line for line in log.splitlines() if line.startswith("dcv-image: error: ")]
    assert len(lines) == 1, log
    return lines[0].removeprefix("dcv-image: error: ")


class TestSession:
    def test_it_is_valid_and_the_probe_says_so(self, session: Container) -> None:
        done = session.probe()

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "healthy: the session is valid and its display :0 answers\n"

    def test_the_user_can_log_in_and_nobody_else(self, session: Container) -> None:
        assert log_in(session, USER, PASSWORD)
        assert not log_in(session, USER, PASSWORD + " ")
        assert not log_in(session, "root", "")

    def test_the_session_runs_as_the_user(self, session: Container) -> None:
        owners = session.run("stat", "-c", "%U", "/tmp/.X11-unix/X0", f"/home/{USER}").stdout.split()

        assert owners == [USER, USER]

    def test_the_authority_is_for_one_group(self, session: Container) -> None:
        listed = session.run("stat", "-c", "%u:%g %a", "/tmp/.X11-unix/xauthority-0").stdout

        assert listed == "0:8443 640\n"

    def test_access_control_of_the_display_is_on(self, session: Container) -> None:
        client = (Path(__file__).parent / "x_client.py").read_text()
        done = session.run(
            "env",
            "DISPLAY=:0",
            "/usr/local/bin/dcv-python",
            "-",
            "look",
            user="4242:4242",
            text=client,
            check=False,
        )

        assert done.returncode == 3, done.stderr

    def test_the_root_file_system_is_read_only_and_privileges_are_few(self, session: Container) -> None:
        status = session.run("cat", "/proc/1/status").stdout

        assert session.run("touch", "/etc/x", check=False).returncode == 1
        # Bits 0, 5, 6, 7 (linux/capability.h): CHOWN, KILL, SETGID, SETUID.
        assert re.search(r"^CapEff:\s+00000000000000e1$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)

    def test_children_do_not_get_the_pods_credentials(self, session: Container) -> None:
        found = session.processes()

        children = {"dcvserver", "dcvsessionlaunc", "Xvnc", "sleep", "dbus-daemon"}
        assert children <= set(found.values())
        for folder, name in found.items():
            if name in children:
                assert b"AWS_" not in (folder / "environ").read_bytes()

    def test_no_process_is_left_behind(self, session: Container) -> None:
        session.run("bash", "-c", "(sleep 0 &)")

        until(
            "process 1 waits for what it inherits",
            lambda: " Z " not in session.run("bash", "-c", "cat /proc/[0-9]*/stat 2>/dev/null").stdout,
        )


def test_a_password_of_any_characters_works_and_is_found_nowhere(pod: Pod, aws: SecretsDouble) -> None:
    aws.secrets[SECRET] = json.dumps({"UserName": USER, "Password": CANARY})
    container = pod.healthy()

    assert len(CANARY) == 128
    assert log_in(container, USER, CANARY)

    container.probe("--ready")
    root = Path(f"/proc/{container.process()}/root")
    for folder in container.processes():
        for name in ("environ", "cmdline"):
            assert FRAGMENT.encode() not in (folder / name).read_bytes()
    searched = ["etc", "home", "opt", "root", "run", "tmp", "usr/local", "usr/share/dcv-image", "var"]
    found = subprocess.run(
        [
            "grep",
            "--recursive",
            "--files-with-matches",
            "--fixed-strings",
            "--devices=skip",
            FRAGMENT,
            *searched,
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
    docker("stop", container.name)
    assert FRAGMENT not in container.log()
    assert FRAGMENT not in docker("inspect", container.name, pod.containers.image).stdout


BAD_SECRETS = {
    "absent": (None, "does not exist in this account and region"),
    "empty": ("", "is empty or binary"),
    "not JSON": ("UserName=alice", "is not JSON"),
    "no object": ('["alice"]', "is no JSON object"),
    "no user": ('{"Password": "x"}', "has no key UserName"),
    "no password": ('{"UserName": "alice"}', "has no key Password"),
    "null": ('{"UserName": "alice", "Password": null}', "has a Password that is no text"),
    "empty password": ('{"UserName": "alice", "Password": ""}', "has an empty Password"),
    "bad user": (
        '{"UserName": "a:b\\nroot::0:0", "Password": "x"}',
        "has a UserName that no account can have",
    ),
    "user of the system": ('{"UserName": "root", "Password": "x"}', "is an account of the operating system"),
}


@pytest.mark.parametrize("case", BAD_SECRETS)
def test_a_bad_secret_stops_the_start_with_one_line(pod: Pod, aws: SecretsDouble, case: str) -> None:
    text, expected = BAD_SECRETS[case]
    name = f"team/{case.replace(' ', '-')}"
    if text is not None:
        aws.secrets[name] = text

    message = ends_with_error(pod.start(environment={"DCV_SM_NAME": name}))

    assert message.startswith("dcv-sm-name: ")
    assert expected in message


@pytest.mark.parametrize("case", ["absent", "one that is no certificate"])
def test_without_a_certificate_there_is_no_start(pod: Pod, tmp_path: Path, case: str) -> None:
    options = []
    if case != "absent":
        for name in ("tls.crt", "tls.key"):
            (tmp_path / name).write_text("-----BEGIN NOTHING-----\n")
        options = ["--volume", f"{tmp_path}:/etc/dcv/tls:ro"]

    message = ends_with_error(pod.start(environment={"DCV_TLS_SELF_SIGNED": "false"}, options=options))

    assert "/etc/dcv/tls" in message


def test_a_mounted_certificate_is_the_one_that_clients_see(pod: Pod, tmp_path: Path) -> None:
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-subj", "/CN=desktop.example.com", "-days", "2"),
            *("-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt")),
        ],
        check=True,
        capture_output=True,
    )
    container = pod.healthy(
        environment={"DCV_TLS_SELF_SIGNED": ""}, options=["--volume", f"{tmp_path}:/etc/dcv/tls:ro"]
    )
    context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    context.check_hostname = False

    plain = inside(container.process(), lambda: socket.create_connection(("127.0.0.1", 8443), 30))
    with context.wrap_socket(plain) as connection:
        assert connection.version() == "TLSv1.3"


NEEDED = {
    "CHOWN": "the capability CHOWN is needed",
    "SETGID": "cannot be run as user dcv: the capabilities SETUID and SETGID are needed",
    "SETUID": "cannot be run as user dcv: the capabilities SETUID and SETGID are needed",
}


@pytest.mark.parametrize("capability", NEEDED)
def test_without_the_capability_there_is_no_start(pod: Pod, capability: str) -> None:
    others = [name for name in CAPABILITIES if name != capability]

    assert NEEDED[capability] in ends_with_error(pod.start(capabilities=others))


def test_without_the_capability_kill_the_end_is_not_orderly(pod: Pod) -> None:
    container = pod.healthy(capabilities=[name for name in CAPABILITIES if name != "KILL"])

    docker("stop", "--time", "30", container.name)

    assert "dcvserver may not be ended in order: the capability KILL is missing" in container.log()


@pytest.mark.parametrize("volume", VOLUMES)
def test_each_documented_volume_is_needed(pod: Pod, volume: str) -> None:
    message = ends_with_error(pod.start(volumes=[name for name in VOLUMES if name != volume]))

    assert f"mount a writable volume at {volume}" in message


class TestEnd:
    def test_sigterm_closes_the_session_and_exits_with_0(self, pod: Pod, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        container = pod.healthy(options=["--volume", f"{tmp_path}:/tmp/.X11-unix"])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["X0", "xauthority-0"]

        docker("stop", "--time", "30", container.name)

        assert container.state()["ExitCode"] == 0
        assert list(tmp_path.iterdir()) == []

    def test_sigterm_in_the_middle_of_the_start_ends_it(self, pod: Pod) -> None:
        # Secrets Manager is asked again for seconds, and the signal comes before it gives up.
        pod.relay.close()
        container = pod.start()
        until("the server is up", lambda: "the DCV server listens" in container.log())

        docker("stop", "--time", "30", container.name)

        assert container.state()["ExitCode"] == 0

    def test_after_sigkill_it_starts_with_the_old_tmp_in_place(self, pod: Pod, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        options = [
            part for volume in ("tmp", "run", "home", "accounts") for part in self._kept(tmp_path, volume)
        ]
        container = pod.healthy(volumes=["/var/log"], options=options)
        docker("kill", container.name)

        assert (tmp_path / "tmp" / ".X11-unix" / "X0").is_socket()
        docker("start", container.name)
        container.wait_until_healthy()

        assert "display :0 answers" in container.probe().stdout
        assert "removed what an earlier start had left of display :0" in container.log()
        assert log_in(container, USER, PASSWORD)

    def _kept(self, folder: Path, volume: str) -> tuple[str, str]:
        (folder / volume).mkdir()
        (folder / volume).chmod(0o1777 if volume == "tmp" else 0o755)
        target = {"accounts": "/var/lib/dcv-image/accounts"}.get(volume, f"/{volume}")
        return "--volume", f"{folder / volume}:{target}"
