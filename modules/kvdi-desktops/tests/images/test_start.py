"""What a start makes: sockets, account, home, folders, the server's command line, systemd's units."""

import errno
import os
import socket
from pathlib import Path

import pytest
from kvdi_desktop import (
    account,
    display,
    environment,
    folders,
    home,
    main,
    prepare,
    settings,
    sockets,
    systemd,
    vnc,
)
from kvdi_desktop.address import TcpAddress, UnixAddress
from kvdi_desktop.errors import DesktopError

PARTS = Path(__file__).resolve().parents[2] / "images" / "parts"
Session = pytest.MonkeyPatch  # changes the environment of a desktop's program


@pytest.fixture
def server_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program by the VNC server's name, first on PATH."""
    program = tmp_path / "bin" / "Xtigervnc"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def write_on_a_full_disk(path: Path, _: bytes) -> int:
    """The file is made, for that takes no room; what is written into it has none."""
    path.touch()
    raise OSError(errno.ENOSPC, "No space left on device")


class TestSockets:
    def test_what_a_killed_server_left_is_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "display.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))

        sockets.clear(path)

        assert not path.exists()

    def test_a_live_servers_socket_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "display.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()

            with pytest.raises(DesktopError, match="another server listens"):
                sockets.clear(path)
        assert path.exists()

    def test_a_file_is_never_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "display.sock"
        path.write_text("somebody's")

        with pytest.raises(DesktopError, match="is no socket"):
            sockets.clear(path)
        assert path.read_text() == "somebody's"

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(DesktopError, match="cannot be made"):
            sockets.check_folder(tmp_path / "file" / "kvdi")


class TestServer:
    def test_with_a_unix_socket_it_opens_no_port(self, server_program: Path) -> None:
        command = vnc.command(7, UnixAddress(Path("/run/kvdi/x.sock")), {}, Path("/home/alice"))

        assert command[:2] == [str(server_program), ":7"]
        assert command[command.index("-rfbport") + 1] == "-1"
        assert command[command.index("-rfbunixpath") + 1] == "/run/kvdi/x.sock"

    @pytest.mark.usefixtures("server_program")
    def test_with_a_port_it_listens_at_that_address_alone(self) -> None:
        command = vnc.command(1, TcpAddress("127.0.0.1", 5900), {}, Path("/home/alice"))

        assert command[command.index("-rfbport") + 1] == "5900"
        assert command[command.index("-interface") + 1] == "127.0.0.1"
        assert "-rfbunixpath" not in command

    @pytest.mark.usefixtures("server_program")
    @pytest.mark.parametrize(("value", "accepted"), [("", 1), ("on", 1), ("off", 0), ("FALSE", 0)])
    def test_the_clients_resizing_can_be_locked(self, value: str, accepted: int) -> None:
        command = vnc.command(1, TcpAddress("", 5900), {"DESKTOP_RESIZE": value}, Path("/home/alice"))

        assert f"-AcceptSetDesktopSize={accepted}" in command

    @pytest.mark.usefixtures("server_program")
    @pytest.mark.parametrize(
        ("value", "geometry"),
        [("1920x1080", "1920x1080"), ("64x64", "64x64"), ("16384x16384", "16384x16384"), ("", "1280x720")],
    )
    def test_the_size_before_a_client_comes(
        self, value: str, geometry: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = vnc.command(1, TcpAddress("", 5900), {"DESKTOP_GEOMETRY": value}, Path("/home/alice"))

        assert command[command.index("-geometry") + 1] == geometry
        assert capsys.readouterr().err == ""

    @pytest.mark.usefixtures("server_program")
    @pytest.mark.parametrize("value", ["-1x5", "99999x99999", "16385x768", "1024x16385", "63x768", "1024x10"])
    def test_a_size_that_no_screen_has_gives_way_to_the_default(
        self, value: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = vnc.command(1, TcpAddress("", 5900), {"DESKTOP_GEOMETRY": value}, Path("/home/alice"))

        assert command[command.index("-geometry") + 1] == "1280x720"
        assert f"DESKTOP_GEOMETRY is {value!r}" in capsys.readouterr().err

    def test_an_image_without_a_server(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(DesktopError, match="no VNC server"):
            vnc.command(1, TcpAddress("", 5900), {}, Path("/home/alice"))


class TestAccount:
    def test_names_are_found_for_the_uid(self, tmp_path: Path) -> None:
        account.record(tmp_path / "extrausers", "alice", 1000680000, 1000680000, Path("/home/alice"))

        passwd = (tmp_path / "extrausers" / "passwd").read_text()
        assert passwd == "alice:*:1000680000:1000680000:alice:/home/alice:/bin/bash\n"

    def test_passwords_are_looked_for_in_the_image_alone(self, tmp_path: Path) -> None:
        """Without root, the list is the user's own to write."""
        account.record(tmp_path / "extrausers", "alice", 9000, 9000, Path("/home/alice"))

        assert {file.name for file in (tmp_path / "extrausers").iterdir()} == {"passwd", "group"}
        configured = (PARTS / "set-up.sh").read_text()
        assert "s/^(passwd|group):[[:space:]]*/" in configured


@pytest.mark.skipif(os.geteuid() != 0, reason="what root makes of a folder can be seen by root alone")
class TestRunAsRoot:
    USER = 9000

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        """A volume as the manager mounts it: everybody may write, and nobody is kept from others' entries."""
        folder = tmp_path / "run"
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def test_the_user_cannot_replace_what_root_trusts(self, run: Path) -> None:
        folders.secure(run)

        assert (run.stat().st_uid, run.stat().st_mode & 0o7777) == (0, 0o755)

    def test_what_the_user_has_put_there_is_gone(self, run: Path, tmp_path: Path) -> None:
        planted = run / "systemd" / "system" / "kvdi-desktop.target.wants"
        planted.mkdir(parents=True)
        (planted / "own.service").write_text("[Service]")
        victim = tmp_path / "victim"
        victim.mkdir()
        (run / "user").symlink_to(victim)
        (run / "kvdi-desktop").mkdir()
        for path in (run / "systemd", run / "kvdi-desktop"):
            os.chown(path, self.USER, self.USER)

        folders.secure(run)

        assert sorted(run.iterdir()) == []
        assert victim.exists()

    def test_what_root_and_sidecars_have_made_stays(self, run: Path) -> None:
        (run / "user").mkdir()
        (run / "docker.sock").touch()

        folders.secure(run)

        assert {path.name for path in run.iterdir()} == {"user", "docker.sock"}

    def test_no_folder_behind_a_link_is_given_away(self, run: Path, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.mkdir()
        (run / "user").mkdir()
        link = run / "user" / str(self.USER)
        link.symlink_to(victim)
        os.chown(link, self.USER, self.USER, follow_symlinks=False)

        folders.give(link, self.USER, self.USER)
        chosen = folders.runtime(self.USER, self.USER, run, tmp_path)

        assert victim.stat().st_uid == 0
        assert chosen == tmp_path / f"runtime-{self.USER}"


class TestHome:
    @pytest.fixture
    def skeleton(self, tmp_path: Path) -> Path:
        folder = tmp_path / "skel"
        (folder / ".config").mkdir(parents=True)
        (folder / ".profile").write_text("new")
        (folder / ".config" / "settings").write_text("new")
        return folder

    def prepare(self, wanted: Path, tmp_path: Path, skeleton: Path) -> Path:
        return home.prepare(wanted, os.getuid(), os.getgid(), tmp_path / "spare", [skeleton])

    def test_an_empty_one_gets_its_first_files(self, tmp_path: Path, skeleton: Path) -> None:
        made = self.prepare(tmp_path / "home" / "alice", tmp_path, skeleton)

        assert (made / ".config" / "settings").read_text() == "new"

    def test_a_restored_one_keeps_what_it_has(self, tmp_path: Path, skeleton: Path) -> None:
        restored = tmp_path / "alice"
        restored.mkdir()
        (restored / ".profile").write_text("mine")
        (restored / ".config").symlink_to(tmp_path / "elsewhere")

        self.prepare(restored, tmp_path, skeleton)

        assert (restored / ".profile").read_text() == "mine"
        assert not (tmp_path / "elsewhere").exists()

    def test_one_that_was_full_gets_its_first_files_later(
        self,
        tmp_path: Path,
        skeleton: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        with monkeypatch.context() as full:
            full.setattr(Path, "write_bytes", write_on_a_full_disk)
            made = self.prepare(tmp_path / "alice", tmp_path, skeleton)
        assert [path for path in made.rglob("*") if path.is_file()] == []
        assert "lacks its first files: No space left on device" in capsys.readouterr().err

        self.prepare(tmp_path / "alice", tmp_path, skeleton)

        assert {path.name for path in made.rglob("*")} == {".profile", ".config", "settings"}
        assert (made / ".profile").read_text() == "new"

    def test_one_that_cannot_be_used_gives_way(
        self, tmp_path: Path, skeleton: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("")

        used = self.prepare(tmp_path / "file" / "alice", tmp_path, skeleton)

        assert used == tmp_path / "spare"
        assert "cannot be used" in capsys.readouterr().err

    def test_without_a_place_for_the_spare_one_there_is_no_desktop(
        self, tmp_path: Path, skeleton: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "spare").write_text("")

        with pytest.raises(DesktopError, match=r"spare cannot be the home either: .*mount a writable"):
            self.prepare(tmp_path / "file" / "alice", tmp_path, skeleton)


class TestFolders:
    def test_the_users_folder_lies_in_run(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()

        made = folders.runtime(os.getuid(), os.getgid(), tmp_path / "run", tmp_path)

        assert made == tmp_path / "run" / "user" / str(os.getuid())
        assert made.stat().st_mode & 0o777 == 0o700

    def test_without_run_it_lies_in_tmp(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("")

        made = folders.runtime(os.getuid(), os.getgid(), tmp_path / "run", tmp_path)

        assert made == tmp_path / f"runtime-{os.getuid()}"

    def test_a_shared_folder_is_nobodys(self, tmp_path: Path) -> None:
        shared = tmp_path / "tmp"
        shared.mkdir()
        shared.chmod(0o1777)

        folders.give(shared, 9000, 9000)

        assert shared.stat().st_uid == os.getuid()


class TestEnvironment:
    def test_dockers_client_is_on_the_path_once(self) -> None:
        read = settings.read({"USER": "alice"}, 9000, 9000)
        first = environment.session(read, Path("/home/alice"), Path("/run/user/9000"), 1, "")
        second = environment.session(read, Path("/home/alice"), Path("/run/user/9000"), 1, first["PATH"])

        assert second["PATH"].split(":").count("/usr/local/docker/bin") == 1

    def test_the_sidecars_sound(self) -> None:
        read = settings.read({"UID": "9000"}, 1000680000, 0)
        session = environment.session(read, Path("/h"), Path("/run/user/1000680000"), 1, "")

        assert session["PULSE_SERVER"] == "unix:/run/user/9000/pulse/native"
        assert session["XDG_RUNTIME_DIR"] == "/run/user/1000680000"


class TestSystemd:
    def test_only_names_of_variables_are_written(self, tmp_path: Path) -> None:
        systemd.write_units(9000, {"TOKEN": "secret-value", "USER": "alice", "bad name": "x"}, tmp_path)

        written = [path.read_text() for path in tmp_path.rglob("*.conf")]
        assert written == ["[Service]\nPassEnvironment=TOKEN USER\n"]
        assert (tmp_path / "kvdi-desktop.target.wants" / "user@9000.service").is_symlink()

    def test_what_an_earlier_run_logged_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / "0123").mkdir()
        (tmp_path / "0123" / "system.journal").write_text("old")

        systemd.forget_journal(tmp_path)

        assert list(tmp_path.iterdir()) == []

    def test_the_first_run_has_no_journal_to_remove(self, tmp_path: Path) -> None:
        systemd.forget_journal(tmp_path / "journal")

    def test_it_has_to_be_the_first_process(self) -> None:
        with pytest.raises(DesktopError, match="first process"):
            systemd.boot({}, claim=-1)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The environment of a desktop's program, where everything that it waits for answers."""
    monkeypatch.setattr(display, "wait_for", lambda *_: None)
    monkeypatch.setenv("DISPLAY", ":1")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    monkeypatch.setenv("HOME", str(tmp_path))
    # What is tested leaves this folder.
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said: no more than one line, whatever happened."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


class TestCommand:
    @pytest.mark.parametrize("arguments", [[], ["fly"]])
    def test_a_wrong_command_names_the_right_ones(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.main(arguments) == 2
        assert "start, vnc, audio, session" in capsys.readouterr().err

    def test_a_start_takes_no_arguments(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["start", "bash"]) == 2
        assert "bash" in capsys.readouterr().err

    @pytest.mark.parametrize("missing", ["DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "HOME"])
    def test_a_session_outside_a_desktop_names_what_it_misses(
        self, session: Session, missing: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        session.delenv(missing)

        assert main.main(["session", "xterm"]) == 1
        assert one_line(capsys).startswith(f"kvdi-desktop: error: {missing} is not set")

    def test_a_display_that_is_no_number_is_named(
        self, session: Session, capsys: pytest.CaptureFixture[str]
    ) -> None:
        session.setenv("DISPLAY", "elsewhere:0")

        assert main.main(["session", "xterm"]) == 1
        assert "DISPLAY is 'elsewhere:0'" in one_line(capsys)

    @pytest.mark.usefixtures("session")
    def test_a_program_that_is_not_there_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["session", "xtrem"]) == 1
        assert "xtrem cannot be run: No such file or directory" in one_line(capsys)

    def test_a_home_that_has_vanished_is_named(
        self, session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        session.setenv("HOME", str(tmp_path / "gone"))

        assert main.main(["session", "true"]) == 1
        assert f"the home {tmp_path / 'gone'} cannot be entered" in one_line(capsys)

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (OSError(errno.ENOSPC, "No space left on device", "/run/x"), "'/run/x': No space left on device"),
            (KeyError("SHELL"), "KeyError('SHELL')"),
            (ValueError("too\nmany digits"), r"ValueError('too\nmany digits')"),
        ],
    )
    def test_what_nobody_foresaw_is_one_line_too(
        self,
        error: Exception,
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def fail(_: object) -> int:
            raise error

        monkeypatch.setitem(main.COMMANDS, "start", fail)

        assert main.main(["start"]) == 1
        assert f"error: start failed: {said}; " in one_line(capsys)


class TestPreparation:
    def test_what_cannot_be_written_down_ends_no_desktop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        own_display = display.Display(7, claim=-1)
        monkeypatch.setattr(folders, "state", lambda *_: tmp_path)
        monkeypatch.setattr(folders, "runtime", lambda *_: tmp_path)
        monkeypatch.setattr(folders, "give", lambda *_: None)
        monkeypatch.setattr(display, "choose", lambda *_: own_display)
        monkeypatch.setattr(account, "record", full)
        variables = {"USER": "alice", "HOME": str(tmp_path), "DISPLAY_SOCK_ADDR": f"{tmp_path}/display.sock"}
        read = settings.read(variables, os.getuid(), os.getgid())

        # As whoever runs the tests: root would become the desktop's user.
        _, chosen = prepare.prepare(read._replace(uid=os.getuid(), gid=os.getgid()), variables)

        assert chosen is own_display
        assert f"{tmp_path} cannot be written (No space left on device)" in capsys.readouterr().err
