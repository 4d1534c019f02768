"""A file on a web server that comes in small parts until the test lets it end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVERY = 0.5  # seconds between parts
PART = bytes(8192)  # a server that sends less than 16 KiB in 20 s is given up


@dataclass
class SlowSource:
    """Where the file is, who waits for it, and what ends it."""

    url: str = ""
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """`host:port`, which the service has to allow."""
        return self.url.split("/")[2]

    def newly_asked(self) -> bool:
        """Whether one more build has begun to fetch the file."""
        return self.asked.acquire(blocking=False)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    source: SlowSource


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        source = self.server.source
        self.send_response(200)
        self.end_headers()
        source.asked.release()
        with suppress(OSError):
            while not source.released.wait(EVERY):
                self.wfile.write(PART)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def slow_source(address: str) -> Iterator[SlowSource]:
    """Serve the file at an address of this machine."""
    source = SlowSource()
    with _Server((address, 0), _Handler) as server:
        server.source = source
        source.url = f"http://{address}:{server.server_address[1]}/file"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield source
        finally:
            source.released.set()
            server.shutdown()
