"""The steps from an empty container to a session that applications can draw on."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from . import accounts, credentials, display_record, leftovers, processes, tls, xauthority
from .accounts import Account, AccountFiles
from .errors import StartError
from .health import LAUNCHER, SERVER, SESSION_ID
from .session import Session, SessionError, describe, run
from .xdisplay import SOCKETS, TEMPORARY, DisplayError, greet

INIT = Path("/usr/local/bin/init_session.sh")
OPEN = 0o1777  # everybody makes files, and removes only his own
BUS = Path("/run/dbus/system_bus_socket")
SERVER_FOLDER = Path("/run/dcv")
LOGS = Path("/var/log/dcv")
GROUP_VARIABLE = "DCV_DISPLAY_GROUP_ID"
DEFAULT_GROUP = 8443
SERVER_USER = "dcv"  # made by the vendor's package
ANSWER_SECONDS = 5.0  # for one call of `dcv`
STEP_SECONDS = 60.0  # for the server to answer, and for the session to get its display
PAUSE = 0.05  # seconds between two looks at what has no event to wait for

Found = TypeVar("Found")


@dataclass(frozen=True)
class Settings:
    """What the environment says, beside what belongs to AWS.

    Attributes:
        group: numeric group that may read the X authority, and so draw.
    """

    group: int


@dataclass
class Started:
    """What runs. `services` are in the order of their start."""

    services: dict[str, subprocess.Popen[bytes]]
    owner: Account | None = None
    session: Session | None = None


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings in the environment.

    Raises:
        StartError: one is malformed.
    """
    text = environment.get(GROUP_VARIABLE) or str(DEFAULT_GROUP)
    if not text.isdigit() or not 0 < int(text) < 2**31:
        raise StartError(f"{GROUP_VARIABLE} has to be the number of a group, not {text!r}")
    return Settings(int(text))


def bring_up(environment: Mapping[str, str], started: Started) -> None:
    """Start everything; `started` tells at any moment what runs.

    Raises:
        StartError: with one line for the user.
    """
    settings = settings_of(environment)
    files = AccountFiles()
    _prepare_folders()
    files.fill()
    tls.prepare(environment, files.find(SERVER_USER))
    _start_server(environment, files, started.services)
    # Asking AWS takes longer than the server's own start, which goes on meanwhile.
    wanted = credentials.read(environment)
    started.owner = files.ensure(wanted)
    accounts.make_home(started.owner)
    _until("the DCV server answers", _server_answers, started)
    _create_session(started.owner)
    owner = started.owner
    session = started.session = _until("the session has a display", _session_with_display, started)

    def published() -> bool:
        publish_display(session, owner, settings.group)
        return True

    _until("the display answers", published, started)


def publish_display(session: Session, owner: Account, group: int) -> bool:
    """Publish the cookie of the session's display, prove it, note the display as ours; whether it was new.

    Raises:
        StartError: the display does not answer yet, or something stands in the way.
    """
    cookie = _cookie(session, owner)
    try:
        new = xauthority.publish(session.display, cookie, group, SOCKETS)
    except OSError as error:
        raise StartError(
            f"the X authority cannot be published in {SOCKETS}: {error.strerror}; mount it writable for root"
        ) from None
    try:
        process = greet(session.display, cookie, ANSWER_SECONDS)
    except DisplayError as error:
        raise StartError(str(error)) from None
    if display_record.process_of(session.display, TEMPORARY) != process:
        display_record.write(session.display, process, TEMPORARY)
    return new


def _cookie(session: Session, owner: Account) -> bytes:
    if session.authority is None:
        raise StartError("the DCV server names no X authority of the session")
    # As the owner: file and folder are closed to everybody else, even to root without DAC_OVERRIDE.
    content = processes.output(
        ["cat", str(session.authority)], processes.clean(os.environ), ANSWER_SECONDS, owner
    )
    cookie = xauthority.cookie_of(content, session.display)
    if not cookie:
        raise StartError(
            f"the session's X authority {session.authority} has no cookie for :{session.display}"
        )
    return cookie


def _prepare_folders() -> None:
    for folder, mode in (
        (BUS.parent, 0o755),
        (Path("/run/user"), 0o755),
        (Path("/run/dcv-image"), 0o755),
        (SERVER_FOLDER, 0o755),
        (LOGS, 0o755),
        (SOCKETS, OPEN),
    ):
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True)
                folder.chmod(mode)  # whatever the umask is
        except OSError as error:
            raise StartError(
                f"{folder} cannot be made: {error.strerror}; with a read-only root mount a writable volume "
                f"at {folder.parent}"
            ) from None
    _open_sockets()
    for display in leftovers.remove_dead_displays(TEMPORARY, SOCKETS):
        say(f"removed what an earlier start had left of display :{display}")


def _open_sockets() -> None:
    """Let X servers of every user make their sockets there; a new folder of the node is for root alone.

    Raises:
        StartError: the folder belongs to somebody else, who keeps others out.
    """
    mode = stat.S_IMODE(SOCKETS.stat().st_mode)
    if mode == OPEN:
        return
    try:
        SOCKETS.chmod(OPEN)
    except OSError as error:
        if mode & stat.S_IWOTH == 0:
            raise StartError(
                f"{SOCKETS} is not writable for the session's user: {error.strerror}; mount a folder of root "
                "there, or one of mode 1777"
            ) from None


def _start_server(
    environment: Mapping[str, str], files: AccountFiles, services: dict[str, subprocess.Popen[bytes]]
) -> None:
    for program in (SERVER, LAUNCHER):
        if not shutil.which(program):
            raise StartError(f"the DCV server is not installed in this image: there is no program {program}")
    shown = processes.clean(environment)
    user = files.find(SERVER_USER)
    if user is not None:
        for folder in (LOGS, SERVER_FOLDER):
            accounts.give(folder, user)
        # Whoever lacks the capabilities learns it here, and not by how one of the services happens to end.
        processes.output(["true"], shown, ANSWER_SECONDS, user)
    if shutil.which("dbus-daemon"):
        # The server and its session launcher find each other over the system bus.
        if BUS.exists():
            BUS.unlink()
        services["dbus-daemon"] = processes.start(
            ["dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog"], shown
        )
        _until("the system bus listens", lambda: leftovers.has_listener(BUS) or None, Started(services))
    services[LAUNCHER] = processes.start([LAUNCHER, "-d"], shown)
    services[SERVER] = processes.start([SERVER, "-d", "--service"], shown, user)


def _server_answers() -> bool | None:
    try:
        status, _ = run(["list-sessions", "--json"], ANSWER_SECONDS)
    except SessionError:
        return None
    return True if status == 0 else None


def _create_session(owner: Account) -> None:
    options = ["--type", "virtual", "--owner", owner.name, "--user", owner.name, "--init", str(INIT)]
    try:
        status, output = run(["create-session", *options, "--storage-root=%home%", SESSION_ID], STEP_SECONDS)
    except SessionError as error:
        raise StartError(f"the session cannot be made: {error}") from None
    if status != 0:
        raise StartError(f"the session cannot be made: dcv create-session says {output.strip()[:200]!r}")


def _session_with_display() -> Session | None:
    try:
        return describe(SESSION_ID, ANSWER_SECONDS)
    except SessionError:
        return None


def _until(what: str, look: Callable[[], Found | None], started: Started) -> Found:
    """Look again and again: neither the server nor X tells when it is ready."""
    end = time.monotonic() + STEP_SECONDS
    reason = ""
    while True:
        try:
            found = look()
        except StartError as error:
            found, reason = None, f": {error}"
        if found is not None:
            return found
        for name, process in started.services.items():
            if process.poll() is not None:
                raise StartError(
                    f"{name} ended with status {process.returncode} before {what}; its own lines say why"
                )
        if time.monotonic() > end:
            raise StartError(f"waited {STEP_SECONDS:g} s in vain until {what}{reason}")
        time.sleep(PAUSE)


def say(text: str) -> None:
    """One line in the container's log."""
    print(f"dcv-image: {text}", file=sys.stderr, flush=True)
