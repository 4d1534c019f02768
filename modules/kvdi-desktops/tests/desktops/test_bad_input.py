"""What cannot work ends with a status and one clear line; what can work does, and the log says how."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from desktops import pod
from desktops.docker import Docker
from desktops.images import Workshop
from desktops.launch import Launch
from desktops.pod import Pod
from localcloud.errors import LocalCloudError, UsageError

pytestmark = pytest.mark.engine


@contextmanager
def not_started(docker: Docker, launch: Launch, **changes: object) -> Iterator[Pod]:
    """A desktop before its start."""
    made = pod.create(docker, replace(launch, **changes))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.remove()


def test_an_unknown_image_is_answered_with_those_that_there_are(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="did you mean debian-supervisord-base") as error:
        workshop.image("debian-supervisor-base")

    assert "debian-systemd-base" in str(error.value)


def test_a_base_of_another_system_is_refused(docker: Docker, workshop: Workshop, tmp_path: Path) -> None:
    context = workshop.folder
    arguments = {"BASE_IMAGE": workshop.base("debian"), "SYSTEM": "arch", "FAMILY": "supervisord"}

    with pytest.raises(LocalCloudError, match="without the package manager pacman"):
        docker.build(context, "airgap-desktops:never", arguments, context / "base" / "Dockerfile")

    assert not docker.has_image("airgap-desktops:never")


def test_a_socket_folder_that_cannot_be_written_ends_the_supervisord_family(
    docker: Docker, launch_of: Callable[[str], Launch]
) -> None:
    with not_started(docker, launch_of("debian-supervisord-base")) as desktop:
        folder = desktop.socket.parent
        folder.chmod(0o755)
        desktop.start()
        status = desktop.wait_until_ended()

        assert status != 0
        assert "/var/run/kvdi" in desktop.log
        assert "Traceback" not in desktop.log


def test_a_socket_path_that_is_too_long_ends_the_desktop(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base", display=f"/run/{'d' * 100}/display.sock")

    assert desktop.wait_until_ended() != 0
    assert "display.sock" in desktop.log
    assert "Traceback" not in desktop.log


STRANGE = ("Ada.Lovelace@example.org", "ädä", "0day", "x" * 200)


@pytest.mark.parametrize(
    ("family", "user"), [*(("supervisord", user) for user in STRANGE), ("systemd", STRANGE[0])]
)
def test_a_strange_user_gets_a_desktop(launched: Callable[..., Pod], family: str, user: str) -> None:
    desktop = launched(f"debian-{family}-base", user=user)

    with desktop.connect() as client:
        client.screenshot()

    assert desktop.execute("whoami").returncode == 0


@pytest.mark.parametrize("user", ["root", "../../etc", "a b;reboot", "$(id)", "a:0:0"])
def test_a_user_whose_name_means_more_harms_nothing(launched: Callable[..., Pod], user: str) -> None:
    desktop = launched("debian-supervisord-base", environment={"USER": user})

    with desktop.connect() as client:
        client.screenshot()

    assert desktop.execute("id", "--user").stdout.strip() == "9000"
    assert desktop.execute("whoami").stdout.strip() not in ("", "root")


@pytest.mark.parametrize("missing", ["UID", "USER", "HOME"])
def test_a_missing_variable_has_a_default(launched: Callable[..., Pod], family: str, missing: str) -> None:
    desktop = launched(f"debian-{family}-base", missing=frozenset({missing}))

    with desktop.connect() as client:
        client.screenshot()

    assert desktop.execute("id", "--user").stdout.strip() == "9000"


@pytest.mark.parametrize("uid", ["0", "-1", "ninethousand"])
def test_a_wrong_uid_is_named_and_the_default_taken(launched: Callable[..., Pod], uid: str) -> None:
    desktop = launched("debian-systemd-base", environment={"UID": uid})

    with desktop.connect() as client:
        client.screenshot()

    assert f"UID is '{uid}'" in desktop.log
    assert desktop.execute("id", "--user", user="9000").stdout.strip() == "9000"


NO_ADDRESSES = ("tcp://nowhere", "udp://127.0.0.1:5900", "127.0.0.1:99999", "relative.sock")


@pytest.mark.parametrize(
    ("family", "address"), [*(("supervisord", text) for text in NO_ADDRESSES), ("systemd", NO_ADDRESSES[0])]
)
def test_an_address_that_is_none_ends_the_desktop(
    launched: Callable[..., Pod], family: str, address: str
) -> None:
    desktop = launched(f"debian-{family}-base", environment={"DISPLAY_SOCK_ADDR": address})

    assert desktop.wait_until_ended() != 0
    assert address in desktop.log
    assert "Traceback" not in desktop.log
