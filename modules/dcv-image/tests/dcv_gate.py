"""A gate in front of a server: a test shuts it, and whoever comes is refused, or kept waiting."""

import socket
import threading


class Gate:
    """Forwards TCP connections from a port of 127.0.0.1 to another, while it is open."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.open()

    def open(self) -> None:
        """Let everybody through."""
        if self._listener.fileno() < 0:
            self._listener = self._listen(self.port)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Break all connections; new ones are refused."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)  # ends a wait for connections, which close does not
            self._listener.close()
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def keep_waiting(self) -> None:
        """New connections are taken, and nothing is answered, until `open`."""
        self.shut()
        self._listener = self._listen(self.port)

    @staticmethod
    def _listen(port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=64)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                coming, _ = listener.accept()
            except OSError:
                return
            going = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._connections |= {coming, going}
            for source, sink in ((coming, going), (going, coming)):
                threading.Thread(target=_forward, args=(source, sink), daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
