"""The publisher: follows the session's display and tells every target.

It runs beside the session until it is ended. Its state file is written every two seconds, so that a reader
knows a dead or stopped publisher by the file's age.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..session import SessionError, describe
from ..xauthority import path_of
from ..xdisplay import SOCKETS
from .configmap import ConfigMap
from .parameters import Parameters
from .settings import PublicationSettings
from .state import STATE_FILE, PublisherState, write
from .target import Target, TargetLoop

SESSION_ID = "default-session"
POLL_SECONDS = 2.0  # between two questions for the display; each starts the server's client
DESCRIBE_SECONDS = 3.0


def display_of_session() -> str | None:
    """The session's display, such as ":2"; None when there is none now."""
    try:
        return f":{describe(SESSION_ID, DESCRIBE_SECONDS).display}"
    except SessionError:
        return None  # the health check says why


def targets(settings: PublicationSettings, environment: Mapping[str, str]) -> list[Target]:
    """What the settings turn on."""
    found: list[Target] = []
    if settings.config_map:
        found.append(ConfigMap(settings.config_map, environment))
    if settings.display_parameter and settings.socket_parameter:
        names = {"display": settings.display_parameter, "socket_mount_path": settings.socket_parameter}
        found.append(Parameters(names, environment))
    return found


class Publisher:
    """Follows the display until it is stopped."""

    def __init__(
        self,
        published: list[Target],
        socket_mount_path: str,
        *,
        display: Callable[[], str | None] = display_of_session,
        state_file: Path = STATE_FILE,
    ) -> None:
        self._loops = [TargetLoop(target, log) for target in published]
        self._socket_mount_path = socket_mount_path
        self._display = display
        self._state_file = state_file
        self._known: str | None = None
        self._stop = threading.Event()

    def run(self) -> None:
        """Publish until `stop`."""
        self._write_state()
        for loop in self._loops:
            loop.start()
        while not self._stop.is_set():
            self._follow()
            self._write_state()
            self._stop.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End `run` soon; what is published stays."""
        self._stop.set()

    def _follow(self) -> None:
        display = self._display()
        if display is None:
            return
        self._known = display
        values = {
            "socket_mount_path": self._socket_mount_path,
            "xauthority": str(path_of(int(display.lstrip(":")), SOCKETS)),
            "display": display,
        }
        for loop in self._loops:
            loop.want(values)

    def _write_state(self) -> None:
        state = PublisherState(time.monotonic(), self._known, [loop.state() for loop in self._loops])
        try:
            write(state, self._state_file)
        except OSError as error:
            log(f"{self._state_file} cannot be written: {error.strerror}")


def log(message: str) -> None:
    """One line in the container's log."""
    print(f"publication: {message}", file=sys.stderr, flush=True)


def publish(environment: Mapping[str, str]) -> int:
    """Publish what the environment asks for until SIGTERM or SIGINT; the exit status is 0 then."""
    settings = PublicationSettings.from_environment(environment)
    if not settings.enabled:
        log("turned off: neither a ConfigMap nor an SSM parameter is named")
        return 0
    publisher = Publisher(targets(settings, environment), settings.socket_mount_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: publisher.stop())
    publisher.run()
    return 0
