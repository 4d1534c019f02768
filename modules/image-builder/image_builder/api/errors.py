"""Errors as answers: short, without inputs (they may be secrets), and nothing of the database."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from ..database.connection import DatabaseUnavailableError
from ..jobs.intake import NotAcceptedInTimeError
from .models import Detail, LimitAnswer, NotNowAnswer

RETRY_AFTER = "5"  # seconds

log = logging.getLogger(__name__)

Responses = dict[int | str, dict[str, Any]]

UNAVAILABLE: Responses = {503: {"model": NotNowAnswer, "description": "The database does not answer"}}
SIGNED_IN: Responses = {
    **UNAVAILABLE,
    400: {"model": Detail, "description": "The body cannot be read"},
    401: {"model": Detail, "description": "Nobody is signed in"},
    403: {"model": Detail, "description": "Not allowed"},
    413: {"model": Detail, "description": "The body is too large"},
}
NOT_FOUND: Responses = {404: {"model": Detail, "description": "There is none"}}
CONFLICT: Responses = {409: {"model": Detail, "description": "It contradicts what there is"}}
LIMITS: Responses = {
    400: {
        "model": LimitAnswer | Detail,
        "description": "The memory limit is reached, no registry is known, or the body cannot be read",
    },
    429: {"model": LimitAnswer, "description": "Too many jobs are waiting"},
}


def add_error_handlers(app: FastAPI) -> None:
    """Answer what the endpoints do not answer themselves."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = [
            {
                "loc": [_shown(part) for part in item["loc"]],
                "msg": str(_shown(item["msg"].removeprefix("Value error, "))),
                "type": item["type"],
            }
            for item in error.errors()
        ]
        return JSONResponse({"detail": problems}, 422)

    @app.exception_handler(DatabaseUnavailableError)
    async def unavailable(request: Request, error: DatabaseUnavailableError) -> JSONResponse:
        return _not_now(str(error), request.path_params.get("job_id"))

    @app.exception_handler(NotAcceptedInTimeError)
    async def not_accepted(_: Request, error: NotAcceptedInTimeError) -> JSONResponse:
        return _not_now(str(error), str(error.job_id))

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return JSONResponse({"detail": "the service failed at this request; its own log has the reason"}, 500)


def _not_now(message: str, job_id: str | None) -> JSONResponse:
    detail = {"message": message, "job_id": job_id}
    return JSONResponse({"detail": detail}, 503, headers={"Retry-After": RETRY_AFTER})


def _shown(part: str | int) -> str | int:
    """Part of a message; half a surrogate from the client's JSON cannot be sent back."""
    return part if isinstance(part, int) else part.encode("utf-8", "replace").decode()[:500]
