"""A Secrets Manager that answers `GetSecretValue` from a dictionary, or with whatever fault is set."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SecretsDouble:
    """Listens on a free port of loopback.

    Attributes:
        secrets: name → text; a name that is missing is an unknown secret.
        refusal: when set, HTTP status and error code of every answer.
        requests: header names in lower case → value, of each request.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.refusal: tuple[int, str] | None = None
        self.requests: list[dict[str, str]] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                double.requests.append({name.lower(): value for name, value in self.headers.items()})
                status, answer = double._answer(body["SecretId"])
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, name: str) -> tuple[int, dict[str, str]]:
        if self.refusal:
            return self.refusal[0], {"__type": self.refusal[1], "message": "as the test wants it"}
        if name not in self.secrets:
            return 400, {"__type": "ResourceNotFoundException", "message": "Secrets Manager can't find it"}
        return 200, {"Name": name, "SecretString": self.secrets[name]}
