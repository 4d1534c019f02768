"""The sound of kVDI's sidecar: a client of the PulseAudio server that runs on the desktop.

Source: kVDI's `pkg/proxyproto/server/handlers.go` and `cmd/kvdi-proxy/main.go`. For each session the sidecar
loads a sink, whose monitor the browser hears, and a source, into whose pipe it writes what the browser's
microphone sends.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud import commands
from localcloud.errors import LocalCloudError

from .pod import Pod

# The sidecar is told this path, whatever the desktop's user is.
SERVER = "/run/user/9000/pulse/native"
SINK, SOURCE = "kvdi", "virtmic"
MICROPHONE = "/var/run/kvdi/mic.fifo"
MICROPHONE_RATE = 16000  # Hz, one channel, 16 bit
READY_SECONDS = 10.0
INTERVAL = 0.05  # seconds; the sidecar too only finds out by trying


@dataclass(frozen=True)
class Sidecar:
    """A session's sound.

    Attributes:
        server: the desktop's PulseAudio socket, where this machine sees it.
        microphone: the pipe of the source.
    """

    server: Path
    microphone: Path

    def listen(self, rate: int) -> "subprocess.Popen[bytes]":
        """What the browser would hear, on the process's stdout: 16 bit, one channel."""
        options = (f"--device={SINK}.monitor", "--format=s16le", f"--rate={rate}", "--channels=1", "--raw")
        return subprocess.Popen(["parec", f"--server=unix:{self.server}", *options], stdout=subprocess.PIPE)


@contextmanager
def attached(pod: Pod, server: str = SERVER) -> Iterator[Sidecar]:
    """Load the sink and the source, as the sidecar does at the beginning of a session, and unload them.

    Raises:
        LocalCloudError: the desktop has no PulseAudio server there, or it refuses.
    """
    sidecar = Sidecar(pod.on_host(server), pod.on_host(MICROPHONE))
    _wait_until_ready(sidecar.server)
    sink = ("module-null-sink", f"sink_name={SINK}", "sink_properties=device.description=kvdi-playback")
    source = (
        *(
            "module-pipe-source",
            f"source_name={SOURCE}",
            "source_properties=device.description=kvdi-microphone",
        ),
        *(f"file={MICROPHONE}", "format=s16le", f"rate={MICROPHONE_RATE}", "channels=1"),
    )
    loaded: list[str] = []
    try:
        for module in (sink, source):
            loaded.append(_control(sidecar.server, "load-module", *module).strip())
        _control(sidecar.server, "set-default-source", SOURCE)
        yield sidecar
    finally:
        for number in loaded:
            if pod.running:
                _control(sidecar.server, "unload-module", number)


def _wait_until_ready(server: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            _control(server, "info")
        except LocalCloudError:
            if time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(INTERVAL)


def _control(server: Path, *command: str) -> str:
    return commands.run(["pactl", f"--server=unix:{server}", *command])
