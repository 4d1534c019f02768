"""A container as seen from this machine: what listens and runs in it, and a connection into it."""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

CLONE_NEWNET = 0x40000000  # sched.h
LISTEN = "0A"  # state of a socket in /proc/net/tcp (proc(5))


def listening_ports(pid: int) -> set[str]:
    """`address:port` of every listening TCP socket in a process's network.

    Raises:
        FileNotFoundError: there is no such process.
    """
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text("utf-8").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == LISTEN:
                found.add(_readable(local))
    return found


def processes_beside(pid: int, name: str) -> list[int]:
    """Processes of that name that are in the same container as another one.

    Raises:
        FileNotFoundError: the other one is not there.
    """
    container = Path(f"/proc/{pid}/ns/pid").readlink()
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if (
                comm.read_text("utf-8").strip() == name
                and (comm.parent / "ns" / "pid").readlink() == container
            ):
                found.append(int(comm.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def connect(pid: int, host: str, port: int, seconds: float) -> socket.socket:
    """A connection to an address inside a process's network.

    Raises:
        OSError: nobody listens there, or this program may not enter the network.
    """
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def enter_and_connect() -> None:
        # A socket belongs to the network in which it is made; only this thread enters the container's.
        try:
            _enter(pid)
            made.append(socket.create_connection((host, port), seconds))
        except OSError as error:
            failed.append(error)

    _in_thread(enter_and_connect)
    if failed:
        raise failed[0]
    return made[0]


def _enter(pid: int) -> None:
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def _in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _readable(hexadecimal: str) -> str:
    """From the kernel's form: each group of 8 digits is a 32-bit number in the machine's order."""
    address, _, port = hexadecimal.partition(":")
    raw = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, raw)}:{int(port, 16)}"
