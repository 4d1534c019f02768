"""PulseAudio for the desktop's programs, and for the proxy beside it.

kVDI's proxy is a client: it loads a sink and a microphone into this server, without a password.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import sockets
from .errors import DesktopError, say

PROGRAM = "pulseaudio"
OPTIONS = (
    "-n",  # no configuration file: nothing of the machine's sound hardware is looked for
    "--daemonize=no",
    "--fail",
    "--exit-idle-time=-1",
    "--use-pid-file=no",
    "--disallow-exit",
    "--realtime=no",
    "--high-priority=no",
    "--disable-shm",  # clients in other containers have another /dev/shm
    "--log-target=stderr",
    "--log-level=warn",
)


def run(path: Path) -> None:
    """Become the sound server that listens on `path`, unless one does already.

    Raises:
        DesktopError: there is no such program, or the socket cannot be made.
    """
    if sockets.answers(path):
        say(f"another sound server listens on {path}: it is used")
        return
    program = shutil.which(PROGRAM)
    if program is None:
        raise DesktopError(f"there is no sound: {PROGRAM} is not installed in the image")
    sockets.check_folder(path.parent)
    path.unlink(missing_ok=True)
    modules = (
        f"--load=module-native-protocol-unix auth-anonymous=1 auth-cookie-enabled=0 socket={path}",
        # Programs find a sink before the proxy brings its own, and move there then.
        "--load=module-always-sink",
    )
    arguments = [program, *OPTIONS, *modules]
    os.execv(program, arguments)  # noqa: S606 - the server takes this process's place
