"""How large bodies may be, before anybody is asked who sends them."""

import httpx
import pytest
from image_builder.api.body_limit import BodyLimit
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

LIMIT = 1_000_000
SMALL = 64 * 1024


async def _length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def _sent(path: str, size: int) -> int:
    app = BodyLimit(Starlette(routes=[Route("/{path:path}", _length, methods=["POST"])]), LIMIT)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://any") as client:
        return (await client.post(path, content=bytes(size))).status_code


@pytest.mark.parametrize("path", ["/users/login", "/uploads/create", "/jobs/images/list", "/nothing"])
async def test_bodies_are_small_where_nobody_needs_large_ones(path: str) -> None:
    assert await _sent(path, SMALL) == 200
    assert await _sent(path, SMALL + 1) == 413


@pytest.mark.parametrize("path", ["/jobs/images/create", "/uploads/sha256:0/append"])
async def test_orders_and_pieces_of_files_have_the_limit_of_the_settings(path: str) -> None:
    assert await _sent(path, LIMIT) == 200
    assert await _sent(path, LIMIT + 1) == 413
