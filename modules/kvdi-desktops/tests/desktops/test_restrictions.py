"""Full function for whoever the cluster's rules make the desktop's user, and with the least that works."""

import json
import os
import shutil
from collections.abc import Callable

import pytest
import tones
from applications import copy_on_desktop, event_log, paste_on_desktop, play_on_desktop
from desktops import sidecar
from desktops.launch import Generation
from desktops.pod import Pod

pytestmark = pytest.mark.engine

UNIT = """\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'id -un >/tmp/who'
[Install]
WantedBy=default.target
"""
# The password is `mine`.
ROOT_BY_MINE = (
    "root:$6$saltsalt$N0Y3deRr3iNNiXBQSXKHJlTphHYbjq3Yyq5krCr6TiwoFZ7I0EpjwLs2iwB8"
    "Z4qqaIxZt15QRHuldPmL..4ej.:19000:0:99999:7:::"
)
RATE, SECONDS = 48000, 3.0  # of a tone: Hz, seconds
ARBITRARY_UID = 1000680000  # such as OpenShift gives a namespace


def assert_full_function(desktop: Pod) -> None:
    """Picture, another size, keyboard, clipboard both ways, sound."""
    with desktop.connect() as client:
        client.resize(1024, 600)
        assert client.screenshot().shape == (600, 1024, 3)
        with event_log(desktop) as application:
            client.point(400, 300)
            client.write("k")
            application.wait_for(r"KeyPress event.*\n.*\n.*keysym 0x6b, k\)")
        copy_on_desktop(desktop, "still here")
        client.wait_for_clipboard("still here")
        client.copy("here too")
        client.screenshot()
        assert paste_on_desktop(desktop) == "here too"
    with sidecar.attached(desktop) as session:
        arrived = play_on_desktop(desktop, session, tones.tone(RATE, SECONDS), RATE)
    assert tones.pitch(arrived, RATE) == pytest.approx(tones.FREQUENCY, abs=5)


@pytest.mark.parametrize(("uid", "restricted"), [(9000, True), (ARBITRARY_UID, True), (ARBITRARY_UID, False)])
def test_supervisord_works_for_any_user(launched: Callable[..., Pod], uid: int, restricted: bool) -> None:
    # A cluster that gives users their numbers knows nothing of UID, which stays the manager's 9000.
    desktop = launched("debian-supervisord-base", uid=uid, restricted=restricted, environment={"UID": "9000"})
    assert_full_function(desktop)

    assert desktop.execute("id", "--user").stdout.strip() == str(uid)
    assert desktop.execute("whoami").stdout.strip() == "ada"
    assert desktop.execute("sh", "-c", "echo ~ada").stdout.strip() == "/home/ada"


def test_supervisord_has_no_capability(shared: Callable[[str], Pod]) -> None:
    desktop = shared("debian-supervisord-base")

    status = desktop.execute("cat", "/proc/1/status").stdout

    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_systemd_runs_the_desktop_as_the_user(launched: Callable[..., Pod]) -> None:
    desktop = launched("debian-systemd-base")
    assert_full_function(desktop)

    assert desktop.execute("whoami").stdout.strip() == "ada"
    assert desktop.execute("cat", "/proc/1/comm").stdout.strip() == "systemd"
    added = desktop.docker.inspect(desktop.container)["HostConfig"]["CapAdd"]
    assert [name.removeprefix("CAP_") for name in added] == ["SYS_ADMIN"]


def test_systemd_has_no_failed_unit(shared: Callable[[str], Pod]) -> None:
    desktop = shared("debian-systemd-base")
    environment = f"XDG_RUNTIME_DIR=/run/user/{desktop.launch.desktop_uid}"

    system = desktop.execute("systemctl", "list-units", "--failed", "--output=json", user="0")
    own = desktop.execute(
        "env", environment, "systemctl", "--user", "list-units", "--failed", "--output=json"
    )

    assert json.loads(system.stdout) == [], system.stderr
    assert json.loads(own.stdout) == [], own.stderr


def test_a_unit_enabled_for_all_users_runs_as_the_user(launched: Callable[..., Pod]) -> None:
    desktop = launched("debian-systemd-base", restricted=False)
    desktop.connect().close()
    shell = "export XDG_RUNTIME_DIR=/run/user/$(id -u); "
    write = 'printf %s "$1" >/etc/systemd/user/extension.service; systemctl --global enable extension'
    done = desktop.execute("sh", "-c", write, "sh", UNIT, user="0")
    assert done.returncode == 0, done.stderr

    # As the next start of the container finds it.
    done = desktop.execute(
        "sh", "-c", f"{shell} systemctl --user daemon-reload && systemctl --user start default.target"
    )
    assert done.returncode == 0, done.stderr

    assert desktop.on_host("/tmp/who").read_text() == "ada\n"


def test_the_user_is_no_root_unless_the_template_allows_it(launched: Callable[..., Pod]) -> None:
    desktop = launched("debian-systemd-base")
    desktop.connect().close()

    assert desktop.execute("sudo", "--non-interactive", "id").returncode != 0


@pytest.mark.parametrize("generation", Generation, ids=lambda generation: generation.value)
def test_the_user_becomes_root_where_the_template_allows_it(
    launched: Callable[..., Pod], generation: Generation
) -> None:
    desktop = launched("debian-systemd-base", allow_root=True, restricted=False, generation=generation)
    desktop.connect().close()

    done = desktop.execute("sudo", "--non-interactive", "id", "--user")

    assert done.stdout.strip() == "0", done.stderr


def test_a_password_that_the_user_makes_up_makes_nobody_root(
    launched: Callable[..., Pod], family: str
) -> None:
    desktop = launched(f"debian-{family}-base", restricted=False)
    desktop.connect().close()
    plant = 'cd /run/kvdi-desktop/extrausers && echo "root:$(openssl passwd -6 mine)::0:99999:7:::" >shadow'
    desktop.execute("sh", "-c", plant)  # without root the folder is the user's own

    for become in ("su --command 'id --user' root", "sudo --stdin id --user"):
        done = desktop.execute("sh", "-c", f"echo mine | {become}")
        assert done.returncode != 0, done.stdout
        assert "0\n" not in done.stdout


@pytest.mark.parametrize("family", ["systemd"])
def test_what_root_trusts_in_run_cannot_be_replaced(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base", restricted=False)
    desktop.connect().close()

    for trusted in ("kvdi-desktop", "systemd", "user"):
        done = desktop.execute("mv", f"/run/{trusted}", f"/run/{trusted}.mine")
        assert done.returncode != 0
        assert "Permission denied" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="leaves files of another user in a volume: needs root")
def test_a_start_obeys_nothing_that_the_user_left_in_run(launched: Callable[..., Pod]) -> None:
    """A volume on `/run` outlives the container, and everybody may write there before the first start."""
    desktop = launched("debian-systemd-base", restricted=False)
    desktop.connect().close()
    desktop.stop()
    run, uid = desktop.on_host("/run"), desktop.launch.desktop_uid
    shutil.rmtree(run / "systemd")
    wanted = run / "systemd" / "system" / "kvdi-desktop.target.wants"
    wanted.mkdir(parents=True)
    (wanted / "own.service").write_text("[Service]\nExecStart=/bin/sh -c 'id -u >/tmp/became'\n")
    shutil.rmtree(run / "user" / str(uid))
    (run / "user" / str(uid)).symlink_to("/etc")
    for path in (run / "systemd", run / "user", run / "user" / str(uid)):
        os.chown(path, uid, uid, follow_symlinks=False)

    desktop.start()
    desktop.connect().close()

    assert not desktop.on_host("/tmp/became").exists()
    assert desktop.execute("stat", "--format=%u", "/etc").stdout == "0\n"


def test_no_account_has_an_empty_password(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base", allow_root=True)
    desktop.connect().close()

    shadow = desktop.execute("cat", "/etc/shadow", user="0").stdout

    assert [line for line in shadow.splitlines() if line.split(":")[1] == ""] == []


def test_the_environment_stands_in_no_file(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base", environment={"SOME_TOKEN": "d0-n0t-keep"}, restricted=False)
    desktop.connect().close()
    search = (
        "grep --recursive --files-with-matches --no-messages d0-n0t-keep /etc /run /tmp /home /var /usr/local"
    )

    done = desktop.execute("sh", "-c", search, user="0")

    assert done.stdout == ""
