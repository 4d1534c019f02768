"""AWS for the publication's tests: an emulated SSM and STS that can go away, and one that answers as told."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from dcv_gate import Gate
from support.emulator import Emulator

REGION = "us-east-1"
PREFIX = "/idf/prod/desktops-dcv"
DISPLAY, SOCKETS = f"{PREFIX}/dcv-display", f"{PREFIX}/dcv-socket-mount-path"
NAMES = {"display": DISPLAY, "socket_mount_path": SOCKETS}
KEYS = {"AWS_ACCESS_KEY_ID": "123456789012", "AWS_SECRET_ACCESS_KEY": "test"}


class EmulatedAws:
    """The AWS emulator's SSM and STS behind a gate."""

    def __init__(self, emulator: Emulator) -> None:
        self._ssm = boto3.client(
            "ssm",
            endpoint_url=emulator.url,
            region_name=REGION,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        self.gate = Gate(int(emulator.url.rpartition(":")[2]))

    def environment(self, credentials: Mapping[str, str] = KEYS) -> dict[str, str]:
        """A pod's environment."""
        return {
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.gate.port}",
            **credentials,
        }

    def forget(self) -> None:
        """Remove the parameters."""
        self._ssm.delete_parameters(Names=list(NAMES.values()))

    def published(self) -> dict[str, str]:
        """Name -> value of the two parameters, as the account's administrator sees them."""
        return {item["Name"]: item["Value"] for item in self._found()}

    def versions(self) -> set[int]:
        """A parameter's version grows with every write."""
        return {item["Version"] for item in self._found()}

    def _found(self) -> Any:  # noqa: ANN401  boto3's own shape
        return self._ssm.get_parameters(Names=list(NAMES.values()))["Parameters"]


class ScriptedAws:
    """Answers as told, and keeps what it was asked: `(service, action, arguments)`."""

    def __init__(self) -> None:
        self.keys: list[str] = []  # with which access key each request was signed
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: deque[tuple[int, dict[str, Any]]] = deque()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                target = self.headers.get("X-Amz-Target", "")
                if target:
                    service, _, action = target.partition(".")
                    signed = self.headers["Authorization"].partition("Credential=")[2]
                    outer.keys.append(signed.partition("/")[0])
                    outer.asked.append((service, action, json.loads(body)))
                status, document = outer.answers.popleft() if outer.answers else (200, {})
                answer = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def environment(self, credentials: Mapping[str, str] = KEYS) -> dict[str, str]:
        """A pod's environment."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": url, **credentials}

    def refuse(self, code: str) -> None:
        """Answer the next request with an error."""
        self.answers.append((400, {"__type": f"com.amazonaws.ssm#{code}", "message": "as told"}))

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
