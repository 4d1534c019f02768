"""The systemd family: the container's first process becomes systemd."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .errors import DesktopError

PROGRAMS = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
UNITS = Path("/run/systemd/system")
OUTPUT = Path("/run/kvdi-desktop/output")
HOLDER = "/bin/sleep"
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
    holder = os.fork()
    if holder == 0:
        os.set_inheritable(claim, True)
        os.execv(HOLDER, [HOLDER, "infinity"])  # noqa: S606
    folder.mkdir(exist_ok=True)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"/proc/{holder}/fd/{descriptor}")


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
