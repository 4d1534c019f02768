"""What the health check looks at, made up: a `dcv`, an X server, a process table."""

import json
import os
import socket
import threading
from pathlib import Path

from dcv_server import xauthority

SESSION = {
    "id": "default-session",
    "owner": "dcv",
    "type": "virtual",
    "x11-display": ":2",
    "licenses": [
        {
            "product": "dcv",
            "status": "LICENSED",
            "check-timestamp": "2026-01-01T00:00:00Z",
            "expiration-date": "2126-01-01T00:00:00.000Z",
        }
    ],
}
COOKIE = b"0123456789abcdef"
SUCCESS = b"\1" + b"\0" * 7


def answering(**changes: object) -> str:
    """Lines of shell for a `dcv` that answers with a session, when it is asked as documented."""
    body = json.dumps({**SESSION, **changes})
    return f"""[ "$*" = "describe-session default-session --json" ] || exit 64\ncat <<'EOF'\n{body}\nEOF"""


def closed(sessions: str = "[]") -> str:
    """A `dcv` that works, but whose server has other sessions or none."""
    known = f"list-sessions) echo '{sessions}' ;;"
    return f"case $1 in {known} *) echo 'Could not find session' >&2; exit 1 ;; esac"


class XServer:
    """Replies to a client's first message; `reply` None never does."""

    def __init__(self, sockets: Path, display: int = 2, reply: bytes | None = SUCCESS) -> None:
        self.received = b""
        self._reply = reply
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(sockets / f"X{display}"))
        self._socket.listen()
        if reply is not None:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.received = connection.recv(4096)
                connection.sendall(self._reply or b"")

    def close(self) -> None:
        """Listen no more; the socket's file stays, as after SIGKILL."""
        self._socket.close()


class ProcessTable:
    """A `/proc` of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net").mkdir(parents=True)
        self.set(7, "dcvserver")
        self.set(8, "dcvsessionlauncher")
        self.listen(8443)

    def set(self, pid: int, name: str, state: str = "S") -> None:
        """Add a process or change it."""
        process = self.folder / str(pid)
        process.mkdir(exist_ok=True)
        (process / "stat").write_text(f"{pid} ({name[:15]}) {state} 1 {pid} {pid} 0\n")

    def end(self, pid: int) -> None:
        """Remove a process."""
        (self.folder / str(pid) / "stat").unlink()
        (self.folder / str(pid)).rmdir()

    def listen(self, *ports: int) -> None:
        """The listening TCP ports, beside one connection to each."""
        lines = [
            f"   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 0 0 1\n"
            f"   1: 0100007F:9999 0100007F:{port:04X} 01 00000000:00000000 00:00000000 0 0 2\n"
            for port in ports
        ]
        (self.folder / "net" / "tcp").write_text("  sl  local_address rem_address   st\n" + "".join(lines))


def publish_cookie(sockets: Path, display: int = 2, cookie: bytes = COOKIE) -> None:
    """What the start publishes beside the socket."""
    xauthority.publish(display, cookie, os.getgid(), sockets)
