"""The container that holds a pod's network, made here because its usual registry cannot be reached."""

import io
import subprocess
import tarfile
from pathlib import Path

PAUSE_IMAGE = "localhost/pause:tests"
BUSYBOX = Path("/bin/busybox")
# Ends at once when it is told to, which `sleep` as the first process of its namespace would not.
COMMAND = 'trap "exit 0" TERM INT; while :; do /bin/busybox sleep 3600 & wait; done'


def pause_image(docker_host: str) -> None:
    """Make it in a container engine."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        # For images that are built on it and run commands.
        shell = tarfile.TarInfo("bin/sh")
        shell.type, shell.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(shell)
    entrypoint = f'ENTRYPOINT ["/bin/busybox", "sh", "-c", {_quoted(COMMAND)}]'
    subprocess.run(
        ["/usr/bin/docker", f"--host={docker_host}", "import", f"--change={entrypoint}", "-", PAUSE_IMAGE],
        input=buffer.getvalue(),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _quoted(text: str) -> str:
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
