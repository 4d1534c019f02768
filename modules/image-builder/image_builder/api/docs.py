"""`/docs`: the API's description as a page that needs nothing from elsewhere."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

_FILES = Path(__file__).parent / "swagger_ui"

# Swagger UI draws with inline styles and data: images.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def add_docs(app: FastAPI) -> None:
    """Serve the page and what it loads."""
    app.mount("/docs/assets", StaticFiles(directory=_FILES), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_FILES / "page.html", headers={"Content-Security-Policy": _POLICY})
