"""Files that the start writes: accounts, the X authority, the certificate; what an earlier start left."""

import crypt
import os
import socket
import subprocess
from pathlib import Path

import pytest
from dcv_server import display_record, tls, xauthority
from dcv_server.accounts import AccountFiles
from dcv_server.credentials import Credentials
from dcv_server.errors import StartError
from dcv_server.leftovers import has_listener, remove_dead_displays
from dcv_server.start import settings_of

PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\ndcv:x:999:999::/:/bin/sh\nubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n"
)
COOKIE = b"0123456789abcdef"


class Etc:
    """Account files as `accounts.sh` leaves them: links into one folder, and a template of it."""

    def __init__(self, folder: Path) -> None:
        self.etc, self.live, self.template = (folder / name for name in ("etc", "live", "template"))
        for part in (self.etc, self.live, self.template):
            part.mkdir()
        for name, content in {
            "passwd": PASSWD,
            "group": "root:x:0:\n",
            "shadow": "root:*:19000::::::\n",
        }.items():
            (self.template / name).write_text(content)
            (self.template / name).chmod(0o640 if name == "shadow" else 0o644)
            (self.etc / name).symlink_to(self.live / name)
        self.files = AccountFiles(self.etc, self.live, self.template)

    def line(self, file: str, account: str) -> list[str]:
        lines = [line.split(":") for line in (self.live / file).read_text().splitlines()]
        found = [fields for fields in lines if fields[0] == account]
        assert len(found) == 1
        return found[0]


@pytest.fixture
def etc(tmp_path: Path) -> Etc:
    made = Etc(tmp_path)
    made.files.fill()
    return made


class TestAccounts:
    def test_an_empty_volume_gets_the_images_own_files(self, etc: Etc) -> None:
        assert (etc.live / "passwd").read_text() == PASSWD
        assert (etc.live / "shadow").stat().st_mode & 0o777 == 0o640

    def test_files_that_are_there_stay(self, etc: Etc) -> None:
        (etc.live / "passwd").write_text("mine:x:1:1:::\n")
        etc.files.fill()

        assert (etc.live / "passwd").read_text() == "mine:x:1:1:::\n"

    @pytest.mark.parametrize("password", ["plain words", "with\nbreak and \"quotes' $x", "x" * 128])
    def test_a_new_user_can_log_in(self, etc: Etc, password: str) -> None:
        account = etc.files.ensure(Credentials("alice", password))

        assert (account.uid, account.gid) == (1001, 1001)
        assert etc.line("passwd", "alice")[2:] == ["1001", "1001", "", "/home/alice", "/bin/bash"]
        stored = etc.line("shadow", "alice")[1]
        assert stored.startswith("$6$")
        assert crypt.crypt(password, stored) == stored
        assert password not in (etc.live / "shadow").read_text()

    def test_a_second_start_changes_the_password_alone(self, etc: Etc) -> None:
        etc.files.ensure(Credentials("alice", "old"))
        before = (etc.live / "passwd").read_text()
        etc.files.ensure(Credentials("alice", "new"))

        assert (etc.live / "passwd").read_text() == before
        stored = etc.line("shadow", "alice")[1]
        assert crypt.crypt("new", stored) == stored

    def test_a_user_of_the_image_is_taken(self, etc: Etc) -> None:
        assert etc.files.ensure(Credentials("ubuntu", "p")).uid == 1000

    @pytest.mark.parametrize("name", ["root", "dcv"])
    def test_accounts_of_the_system_are_refused(self, etc: Etc, name: str) -> None:
        with pytest.raises(StartError, match=f"UserName '{name}' is an account of the operating system"):
            etc.files.ensure(Credentials(name, "p"))

    def test_the_modes_stay_and_nothing_else_is_left(self, etc: Etc) -> None:
        etc.files.ensure(Credentials("alice", "p"))

        assert (etc.live / "shadow").stat().st_mode & 0o777 == 0o640
        assert sorted(path.name for path in etc.live.iterdir()) == ["group", "passwd", "shadow"]
        assert all((etc.etc / name).is_symlink() for name in ("group", "passwd", "shadow"))


class TestAuthority:
    def test_xauth_reads_what_is_published(self, tmp_path: Path) -> None:
        assert xauthority.publish(12, COOKIE, os.getgid(), tmp_path)

        listed = subprocess.run(
            ["xauth", "-f", str(tmp_path / "xauthority-12"), "nlist"],
            capture_output=True,
            text=True,
            check=True,
        )
        # Family FFFF counts on every host.
        name = b"MIT-MAGIC-COOKIE-1".hex()
        assert listed.stdout.split() == [
            "ffff",
            "0000",
            "0002",
            b"12".hex(),
            "0012",
            name,
            "0010",
            COOKIE.hex(),
        ]

    def test_it_is_written_once_and_again_when_it_changed(self, tmp_path: Path) -> None:
        assert xauthority.publish(1, COOKIE, os.getgid(), tmp_path)
        assert not xauthority.publish(1, COOKIE, os.getgid(), tmp_path)
        (tmp_path / "xauthority-1").chmod(0o666)
        assert xauthority.publish(1, COOKIE, os.getgid(), tmp_path)
        assert xauthority.publish(1, COOKIE[::-1], os.getgid(), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["xauthority-1"]

    def test_a_link_in_its_place_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("other")
        (tmp_path / "xauthority-1").symlink_to(tmp_path / "target")
        xauthority.publish(1, COOKIE, os.getgid(), tmp_path)

        assert (tmp_path / "target").read_text() == "other"
        assert not (tmp_path / "xauthority-1").is_symlink()

    def test_the_displays_own_cookie_is_found(self) -> None:
        content = xauthority.entry(1, b"wrong") + xauthority.entry(2, COOKIE)

        assert xauthority.cookie_of(content, 2) == COOKIE
        assert xauthority.cookie_of(content, 3) == b""

    @pytest.mark.parametrize("content", [b"", b"\1", b"\1\0\0\xff", b"\xff" * 50, b"\0" * 9])
    def test_rubbish_has_no_cookie(self, content: bytes) -> None:
        assert xauthority.cookie_of(content, 2) == b""


class TestLeftovers:
    @pytest.fixture
    def sockets(self, tmp_path: Path) -> Path:
        (tmp_path / "s").mkdir()
        return tmp_path / "s"

    def dead(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()

    def test_only_what_was_noted_goes(self, tmp_path: Path, sockets: Path) -> None:
        for display in (3, 4):
            self.dead(sockets / f"X{display}")
            xauthority.publish(display, COOKIE, os.getgid(), sockets)
        display_record.write(3, 1, tmp_path)
        (tmp_path / ".X3-lock").write_text("1")

        assert remove_dead_displays(tmp_path, sockets) == [3]
        assert sorted(path.name for path in sockets.iterdir()) == ["X4", "xauthority-4"]
        assert [path.name for path in tmp_path.iterdir()] == ["s"]

    def test_what_has_a_listener_stays(self, tmp_path: Path, sockets: Path) -> None:
        display_record.write(3, 1, tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(sockets / "X3"))
            listener.listen()

            assert has_listener(sockets / "X3")
            assert remove_dead_displays(tmp_path, sockets) == []
        assert (sockets / "X3").exists()

    def test_a_note_of_somebody_else_does_not_count(self, tmp_path: Path, sockets: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file to somebody else")
        self.dead(sockets / "X3")
        display_record.write(3, 1, tmp_path)
        os.chown(tmp_path / ".dcv-image-display-3", 4242, 4242)

        assert remove_dead_displays(tmp_path, sockets) == []
        assert display_record.process_of(3, tmp_path) is None

    def test_a_note_that_is_a_link_does_not_count(self, tmp_path: Path, sockets: Path) -> None:
        (tmp_path / "elsewhere").write_text("1")
        (tmp_path / ".dcv-image-display-3").symlink_to(tmp_path / "elsewhere")

        assert display_record.noted(tmp_path) == []


class TestCertificate:
    def test_without_a_secret_or_leave_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(StartError, match="DCV_TLS_SELF_SIGNED=true"):
            tls.prepare({}, None, tmp_path / "none", tmp_path / "live")

    def test_a_key_of_another_certificate_is_refused(self, tmp_path: Path) -> None:
        for folder in ("one", "two"):
            tls.prepare({"DCV_TLS_SELF_SIGNED": "true"}, None, tmp_path / "none", tmp_path / folder)
        mount = tmp_path / "mount"
        mount.mkdir()
        (mount / "tls.crt").write_bytes((tmp_path / "one" / "dcv.pem").read_bytes())
        (mount / "tls.key").write_bytes((tmp_path / "two" / "dcv.key").read_bytes())

        with pytest.raises(StartError, match="is not usable"):
            tls.prepare({"DCV_TLS_SELF_SIGNED": "true"}, None, mount, tmp_path / "live")

    def test_the_key_is_for_the_server_alone(self, tmp_path: Path) -> None:
        for _ in range(2):  # a second start replaces it
            tls.prepare({"DCV_TLS_SELF_SIGNED": "true"}, None, tmp_path / "none", tmp_path / "live")

        assert (tmp_path / "live" / "dcv.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["dcv", "0", "-1", "8443x", str(2**31)])
def test_a_group_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="DCV_DISPLAY_GROUP_ID has to be the number of a group"):
        settings_of({"DCV_DISPLAY_GROUP_ID": text})
