"""Makes a service of this machine's loopback reachable for a cluster's pods, and for nobody else."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 64 * 1024


class _Forward(socketserver.BaseRequestHandler):
    """Copies both directions of one connection until one side has closed."""

    server: "_Server"

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(self.server.target) as there:
            back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
            back.start()
            _copy(self.request, there)
            back.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self.target = target
        super().__init__((address, 0), _Forward)


@contextmanager
def forwarded(address: str, port: int) -> Iterator[str]:
    """`address:port` by which 127.0.0.1:`port` is reached from where `address` is known."""
    with _Server(address, ("127.0.0.1", port)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"{address}:{server.server_address[1]}"
        finally:
            server.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
