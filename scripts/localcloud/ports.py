"""The ports on 127.0.0.1: free before a service starts, or a message that says who has them."""

import socket
from pathlib import Path

from .errors import LocalCloudError


def require_free(port: int, service: str) -> None:
    """Check that nobody listens on the port.

    Raises:
        LocalCloudError: somebody does; names the process where the kernel tells.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise LocalCloudError(
                f"port {port} on 127.0.0.1, which {service} needs, is taken{_holder(port)}; "
                "end that process, or choose other ports with LOCAL_PORT_BASE"
            ) from None


def _holder(port: int) -> str:
    inode = _listening_inode(port)
    if inode is None:
        return ""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = link.readlink()
        except OSError:
            continue
        if str(target) == f"socket:[{inode}]":
            pid = link.parts[2]
            return f" by process {pid} ({Path('/proc', pid, 'comm').read_text('utf-8').strip()})"
    return ""


def _listening_inode(port: int) -> str | None:
    """Inode of the listening socket (proc(5), /proc/net/tcp: state 0A is LISTEN)."""
    for line in Path("/proc/net/tcp").read_text("utf-8").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].partition(":")[2], 16) == port:
            return fields[9]
    return None
