"""The command `kvdi-desktop`: one verb for each thing that an image's processes need."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import audio, display, prepare, privilege, settings, vnc
from .errors import DesktopError, ParameterError, say

# Where distributions put Python packages, supervisor among them.
PACKAGES = ("/usr/lib/python3/dist-packages", f"/usr/lib/python3.{sys.version_info.minor}/site-packages")
FAMILY = Path("/usr/share/kvdi-desktops/family")


def start(arguments: Sequence[str]) -> int:
    """Start the desktop: the container's entry point."""
    if arguments:
        raise ParameterError(f"the image takes no arguments, and was given: {' '.join(arguments)}")
    read = settings.read(os.environ, os.getuid(), os.getgid())
    family = FAMILY.read_text(encoding="utf-8").strip()
    if family == "systemd":
        return _start_systemd(read)
    if read.root_allowed:
        say("ENABLE_ROOT has no effect in the supervisord family: it has no way to become root")
    # This process becomes supervisord, so it keeps the display's claim to the end.
    variables, _ = prepare.prepare(read, os.environ)
    os.environ.update(variables)
    if os.getuid() == 0:
        privilege.become(read.uid, read.gid)
    # The interpreter runs without the folder of packages until here.
    sys.path.extend(PACKAGES)
    from . import supervise

    return supervise.run()


def _start_systemd(read: settings.Settings) -> int:
    from . import systemd

    if os.getuid() != 0:
        raise DesktopError("the systemd family runs as root (runAsUser: 0); its desktop user does not")
    made, own_display = prepare.prepare(read, os.environ)
    variables = {**os.environ, **made}
    systemd.forget_journal()
    systemd.write_units(read.uid, variables)
    if read.root_allowed:
        systemd.allow_root(read.user)
    systemd.boot(variables, own_display.claim)
    return 1


def serve_vnc(_: Sequence[str]) -> int:
    """Become the VNC server."""
    read = settings.read(os.environ, os.getuid(), os.getgid())
    vnc.run(
        prepare.display_number(os.environ),
        read.address,
        os.environ,
        prepare.home_of(os.environ),
        read.keyboard,
    )
    return 1


def serve_audio(_: Sequence[str]) -> int:
    """Become the sound server, unless there is one."""
    audio.run(Path(prepare.made(os.environ, "PULSE_SERVER").removeprefix("unix:")))
    return 0


def session(arguments: Sequence[str]) -> int:
    """Wait for the display and the session bus, then become a program that uses them."""
    if not arguments:
        raise ParameterError("session: give the program to run")
    display.wait_for(display.socket(prepare.display_number(os.environ)), display.START_SECONDS)
    bus = prepare.made(os.environ, "DBUS_SESSION_BUS_ADDRESS")
    display.wait_for(Path(bus.removeprefix("unix:path=")), display.START_SECONDS)
    home = prepare.home_of(os.environ)
    try:
        os.chdir(home)
    except OSError as error:
        raise DesktopError(
            f"the home {home} cannot be entered: {error.strerror}; start the desktop again, which makes it"
        ) from None
    try:
        os.execvp(arguments[0], list(arguments))  # noqa: S606 - the program takes this process's place
    except OSError as error:
        raise DesktopError(
            f"session: {arguments[0]} cannot be run: {error.strerror}; check its name in the process's file"
        ) from None


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "start": start,
    "vnc": serve_vnc,
    "audio": serve_audio,
    "session": session,
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        say(f"give one of these commands: {', '.join(COMMANDS)}")
        return ParameterError.exit_status
    try:
        return command(arguments[1:])
    except DesktopError as error:
        say(f"error: {error}")
        return error.exit_status
    except (OSError, KeyError, ValueError) as error:
        say(f"error: {_in_one_line(arguments[0], error)}")
        return DesktopError.exit_status


def _in_one_line(command: str, error: OSError | KeyError | ValueError) -> str:
    """One line for what no step has words of its own for: a log is no place for a traceback."""
    if isinstance(error, OSError):
        place = f"{error.filename!r}: " if error.filename else ""
        reason = f"{place}{error.strerror or error}"
        return f"{command} failed: {reason}; make sure that it is there, with room and rights"
    return f"{command} failed: {error!r}; check the container's variables and files"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
