"""`./scripts/local desktop`: one desktop on this machine, as kVDI's manager would launch it."""

import asyncio
import os
import signal
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud import packages
from localcloud.errors import LocalCloudError, UsageError
from localcloud.progress import Progress

from . import browser, catalogue, pictures, pod, sidecar
from .images import Workshop
from .launch import Generation, Launch
from .rfb import Picture

STILL_SECONDS = 1.5  # a picture that does not change for so long is finished
PAINTING_SECONDS = 30.0
FORMATS = (".png", ".jpg", ".webp")


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        screenshot: file for a picture of the desktop, in place of the browser.
        size: width and height of the picture.
        port: port on 127.0.0.1 for the browser; 0 for a free one.
        user: name of the desktop's user.
    """

    image: str
    generation: Generation
    screenshot: Path | None
    size: tuple[int, int]
    port: int
    user: str
    allow_root: bool

    def check(self) -> None:
        """Look at what was asked for before anything is made.

        Raises:
            UsageError: there is no such image, or the picture cannot be written there.
        """
        catalogue.find(catalogue.load(), self.image)
        if self.screenshot and self.screenshot.suffix not in FORMATS:
            raise UsageError(f"{self.screenshot}: a screenshot is written as {', '.join(FORMATS)}")
        if self.screenshot and not self.screenshot.absolute().parent.is_dir():
            raise UsageError(f"{self.screenshot}: there is no folder {self.screenshot.absolute().parent}")


def try_out(options: Options, workshop: Workshop, progress: Progress) -> None:
    """Build the image if need be, launch it, show it, and remove every trace of the launch.

    Raises:
        LocalCloudError: the build or the launch failed; with the last lines of the log.
    """
    image = catalogue.load()[options.image]
    launch = Launch(
        workshop.image(options.image),
        image.family,
        options.generation,
        user=options.user,
        allow_root=options.allow_root,
    )
    with pod.running(workshop.docker, launch) as desktop:
        desktop.connect().close()
        progress.say(f"{image.name} runs as {options.generation.value} of kVDI would start it")
        if options.screenshot:
            pictures.write(painted(desktop, options.size), options.screenshot)
            progress.say(f"picture in {options.screenshot}")
        else:
            novnc = browser.find_novnc(workshop.cache)
            with _sound(desktop, progress):
                asyncio.run(_show(desktop, novnc, options.port))
            progress.say("stopping the desktop")
        if desktop.running:
            desktop.stop()


def painted(desktop: pod.Pod, size: tuple[int, int]) -> Picture:
    """The desktop in that size, when its picture has come to rest."""
    with desktop.connect() as client:
        client.resize(*size)
        return client.wait_until_still(STILL_SECONDS, PAINTING_SECONDS)


@contextmanager
def _sound(desktop: pod.Pod, progress: Progress) -> Iterator[None]:
    """The devices of kVDI's sidecar, so that programs find them; noVNC itself carries no sound."""
    with ExitStack() as stack:
        try:
            packages.ensure_programs(["pactl"], progress)
            stack.enter_context(sidecar.attached(desktop))
        except LocalCloudError as error:
            progress.say(f"without the sidecar's sound: {error}")
        yield


async def _show(desktop: pod.Pod, novnc: Path, port: int) -> None:
    """Serve the browser until Ctrl-C, or until the desktop ends.

    Raises:
        LocalCloudError: the desktop ended by itself.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with browser.Gate(novnc, desktop.socket).open(port) as address:
        print(f"{address}\nCtrl-C ends the desktop.", flush=True)
        if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(address)
        process = os.pidfd_open(desktop.pid)
        loop.add_reader(process, stopped.set)
        try:
            await stopped.wait()
        finally:
            loop.remove_reader(process)
            os.close(process)
    if not desktop.running:
        raise LocalCloudError(f"the desktop ended by itself; its log ends with:\n{desktop.log_tail}")
