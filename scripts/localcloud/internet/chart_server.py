"""A static server for chart repositories, one of which asks for a name and a password.

`python -m localcloud.internet.chart_server --port 8080 --root DIR [--auth-file FILE]` serves
`DIR/<repository>/index.yaml` and the archives beside it. The file has one line `name:password`,
which is asked for below `/private/`; without the file nobody may read there.
"""

from __future__ import annotations

import argparse
import base64
import hmac
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PRIVATE = "private"


def expected_authorization(auth_file: Path | None) -> str | None:
    """Return the header that opens the private repository, or None when nothing does."""
    if auth_file is None:
        return None
    credentials = auth_file.read_text().strip()
    return "Basic " + base64.b64encode(credentials.encode()).decode()


class ChartHandler(SimpleHTTPRequestHandler):
    """Serves files, no listings, and the private repository only to who may read it."""

    protocol_version = "HTTP/1.1"
    extensions_map = {".yaml": "text/yaml", ".tgz": "application/gzip", "": "application/octet-stream"}  # noqa: RUF012

    def __init__(self, *args: object, authorization: str | None, directory: str) -> None:
        self._authorization = authorization
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def send_head(self):  # type: ignore[no-untyped-def] # noqa: ANN201
        """Answer a GET or a HEAD up to its body."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self._refuse(HTTPStatus.NOT_FOUND)
        if path.relative_to(self.directory).parts[0] == PRIVATE and not self._is_authorized():
            return self._refuse(HTTPStatus.UNAUTHORIZED)
        return super().send_head()

    def _is_authorized(self) -> bool:
        given = self.headers.get("Authorization", "")
        expected = self._authorization
        return expected is not None and hmac.compare_digest(given.encode(), expected.encode())

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="charts"')
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve(port: int, root: Path, auth_file: Path | None) -> None:
    """Serve until the process is ended."""
    authorization = expected_authorization(auth_file)
    handler = partial(ChartHandler, authorization=authorization, directory=str(root.resolve()))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve chart repositories on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--auth-file", type=Path)
    arguments = parser.parse_args()
    serve(arguments.port, arguments.root, arguments.auth_file)


if __name__ == "__main__":
    main()
