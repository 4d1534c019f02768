"""The systemd family: the container's first process becomes systemd."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from .errors import DesktopError, say

PROGRAMS = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
UNITS = Path("/run/systemd/system")
OUTPUT = Path("/run/kvdi-desktop/output")
HOLDER = "/bin/sleep"
PAUSE_SECONDS = 0.001
PATIENCE_SECONDS = 10.0
JOURNAL = Path("/run/log/journal")
SUDOERS = Path("/run/kvdi-desktop/sudoers.d/desktop")
TARGET = "kvdi-desktop.target"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Of the container's own, not of the desktop: systemd sets or reads them.
_OWN = {"container", "container_uuid", "HOSTNAME", "TERM"}


def write_units(uid: int, variables: Mapping[str, str], units: Path = UNITS) -> None:
    """Have systemd start the user's own systemd, with the desktop's variables.

    Only their names are written: the values stay in the memory of the first process.
    """
    names = sorted(name for name in variables if _VARIABLE.fullmatch(name) and name not in _OWN)
    dropin = units / f"user@{uid}.service.d" / "environment.conf"
    dropin.parent.mkdir(parents=True, exist_ok=True)
    dropin.write_text(f"[Service]\nPassEnvironment={' '.join(names)}\n", encoding="utf-8")
    wanted = units / f"{TARGET}.wants"
    wanted.mkdir(exist_ok=True)
    link = wanted / f"user@{uid}.service"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/systemd/system/user@.service")


def allow_root(user: str, sudoers: Path = SUDOERS) -> None:
    """Let the user become root without a password."""
    sudoers.parent.mkdir(mode=0o755, exist_ok=True)
    sudoers.unlink(missing_ok=True)
    sudoers.write_text(f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n", encoding="utf-8")
    sudoers.chmod(0o440)


def keep_open(claim: int, folder: Path = OUTPUT) -> None:
    """Keep open what systemd itself closes: the display's claim, and the container's output.

    A process that only sleeps holds them; units reach the output by `stdout` and `stderr` in the folder.
    """
    os.set_inheritable(claim, True)
    holder = os.posix_spawn(HOLDER, [HOLDER, "infinity"], {})
    folder.mkdir(exist_ok=True)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"/proc/{holder}/fd/{descriptor}")
        _wait_until_allowed(link)


def _wait_until_allowed(link: Path) -> None:
    """Wait until the holder is its own program.

    Up to there it counts as this process, which has acted as another user: nobody may look at what such a
    process has open (proc(5), `dumpable`), and units that write there would fail.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            link.stat()
        except PermissionError:
            time.sleep(PAUSE_SECONDS)
        else:
            return
    say(f"{link} cannot be looked at, where units write what they print")


def forget_journal(folder: Path = JOURNAL) -> None:
    """Remove what systemd logged before a restart: it would be printed again, and fill the volume in time."""
    # Whatever cannot be removed costs room, and not the desktop.
    with contextlib.suppress(OSError):
        for file in folder.glob("*/*"):
            file.unlink()
        for machine in folder.glob("*"):
            machine.rmdir()


def boot(variables: Mapping[str, str], claim: int) -> None:
    """Become systemd; `claim` is a descriptor that stays open until the container ends.

    Raises:
        DesktopError: this is not the container's first process, or the image has no systemd.
    """
    if os.getpid() != 1:
        raise DesktopError("systemd has to be the container's first process: start the image without --init")
    for program in PROGRAMS:
        if Path(program).exists():
            keep_open(claim)
            arguments = [program, "--show-status=false"]
            os.execve(program, arguments, {**variables, "container": "docker"})  # noqa: S606
    raise DesktopError("systemd is not installed in the image")
