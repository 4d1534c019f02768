"""Sockets in the network namespace of a container, which has loopback and nothing else.

So containers share no ports with each other or with the machine, and need no bridge. A socket stays in the
namespace that its thread was in when it was made.
"""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

CLONE_NEWNET = 0x40000000
Made = TypeVar("Made")


def inside(process: int, make: Callable[[], Made]) -> Made:
    """What `make` returns in the namespace of that process; it runs in a thread of its own."""
    results: list[Made] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns failed")
            finally:
                os.close(descriptor)
            results.append(make())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class Relay:
    """Listens on a port of the namespace's loopback and joins each connection to a port of the machine."""

    def __init__(self, process: int, port: int, target: int) -> None:
        self._listener = inside(process, lambda: socket.create_server(("127.0.0.1", port)))
        self._target = target
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more; what is joined stays."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
