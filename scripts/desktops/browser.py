"""noVNC on loopback in front of a desktop's socket, for one person's browser.

The address holds a secret, since every program and every web page on the machine could connect otherwise.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web
from localcloud import commands, packages
from localcloud.errors import LocalCloudError

PACKAGED = Path("/usr/share/novnc")
PAGE = "vnc.html"
HOST = "127.0.0.1"
CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class Gate:
    """Serves noVNC's page, and carries its WebSocket to the desktop.

    Attributes:
        novnc: folder with noVNC's page.
        desktop: the VNC server's socket.
    """

    novnc: Path
    desktop: Path
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @asynccontextmanager
    async def open(self, port: int) -> AsyncIterator[str]:
        """Serve on loopback; yields the address for a browser. Port 0 takes a free one.

        Raises:
            LocalCloudError: the port is taken.
        """
        application = web.Application()
        application.router.add_get(f"/{self.secret}/desktop", self._carry)
        application.router.add_static(f"/{self.secret}", self.novnc)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, port)
            try:
                await site.start()
            except OSError as error:
                raise LocalCloudError(f"port {port} on {HOST} cannot be used: {error.strerror}") from None
            yield self._address(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    def _address(self, port: int) -> str:
        # noVNC asks its own server for `path`; `remote` has the desktop follow the window's size.
        options = f"autoconnect=1&resize=remote&reconnect=1&path={self.secret}/desktop"
        return f"http://{HOST}:{port}/{self.secret}/{PAGE}?{options}"

    async def _carry(self, request: web.Request) -> web.WebSocketResponse:
        page = web.WebSocketResponse(protocols=("binary",), max_msg_size=0)
        await page.prepare(request)
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.desktop))
        except OSError as error:
            await page.close(message=f"the desktop does not answer: {error.strerror}".encode())
            return page
        back = asyncio.create_task(_to_page(reader, page))
        try:
            async for message in page:
                if message.type is WSMsgType.BINARY:
                    writer.write(message.data)
                    await writer.drain()
        finally:
            back.cancel()
            writer.close()
        return page


def find_novnc(cache: Path) -> Path:
    """noVNC's files: the installed package's, or the package unpacked in the cache.

    Raises:
        LocalCloudError: it is not installed, and this machine cannot fetch Debian's package.
    """
    for folder in (PACKAGED, unpacked := cache / "novnc" / "usr" / "share" / "novnc"):
        if (folder / PAGE).exists():
            return folder
    if not packages.can_install():
        raise LocalCloudError(
            f"noVNC is missing: install your system's package of it, which has {PACKAGED / PAGE}"
        )
    target = cache / "novnc"
    target.mkdir(parents=True, exist_ok=True)
    commands.run(["apt-get", "update"])
    commands.run(["apt-get", "download", "novnc"], cwd=target)
    (package,) = target.glob("novnc_*.deb")
    commands.run(["dpkg-deb", "--extract", str(package), str(target)])
    package.unlink()
    return unpacked


async def _to_page(reader: asyncio.StreamReader, page: web.WebSocketResponse) -> None:
    while content := await reader.read(CHUNK):
        await page.send_bytes(content)
    await page.close()
