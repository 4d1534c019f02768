"""`image-builder build request.json`: has an image built and shows its log."""

import json
import sys
from pathlib import Path
from typing import Any

from .client import Client, ServiceError
from .client.files import LocalFileError, with_local_files
from .shared.errors import ParameterError, UserError


def read_request(path: Path) -> dict[str, Any]:
    """The request in a file; `-` is the standard input.

    Raises:
        ParameterError: there is none.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
        request = json.loads(text)
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ParameterError(f"{path} is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise ParameterError(f"{path} is no request: it must be a JSON object with name, tag and layers")
    return request


def build_by_service(path: Path, server: str, username: str, password: str) -> int:
    """Order the image, follow its log to the end, and print its name by digest.

    Raises:
        ParameterError: there is no request, or the service says that it is wrong.
        UserError: the service refuses, or the build fails.
    """
    request = read_request(path)
    with Client(server) as client:
        try:
            client.login(username, password)
            job = client.create(with_local_files(request, path.parent, lambda file: _brought(client, file)))
            print(f"job {job['job_id']}: {job['image']}", file=sys.stderr)
            job = _follow(client, job)
        except ServiceError as error:
            kind = ParameterError if error.status in (400, 422) else UserError
            raise kind(f"{server}: {error}") from None
        except LocalFileError as error:
            raise ParameterError(str(error)) from None
    if job["status"] != "DONE":
        raise UserError(f"the job ended as {job['status']}: {job['context']}")
    print(f"{job['image'].rpartition(':')[0]}@{job['digest']}")
    return 0


def _brought(client: Client, path: Path) -> str:
    print(f"── uploading {path}, {path.stat().st_size} bytes", file=sys.stderr, flush=True)
    return client.upload(path)


def _follow(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    for event in client.follow(job["job_id"]):
        if event.kind == "log":
            print(event.text, end="", file=sys.stderr, flush=True)
        elif event.kind == "status":
            print(f"── {event.text}", file=sys.stderr, flush=True)
        elif event.job is not None:
            return event.job
    raise ServiceError("the log ended before the job did")
