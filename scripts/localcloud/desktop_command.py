"""`./scripts/local desktop`: its options, and an engine to launch with."""

import argparse
from pathlib import Path

from .engine import SERVICE, clean_up_engine, ensure_engine
from .layout import Layout
from .progress import Progress
from .services import Services

DEFAULT_PORT = 6080  # noVNC's own
SIZE = (1280, 800)  # pixels
MANAGERS = ("2020", "2021")  # names of desktops.launch.Generation, without `OF_`
DESCRIPTION = """\
Launch a desktop image as kVDI's manager would (environment, volumes, user, capabilities), and open it in
a browser through noVNC on 127.0.0.1. The image is built when the engine does not have it. Ctrl-C stops the
desktop and removes its container and volumes.
"""


# argparse does not name the type that add_subparsers() returns in public.
def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "desktop",
        help="try a desktop image: launched as kVDI would, opened in a browser",
        description=DESCRIPTION,
        epilog="A name that does not exist is answered with the list of images.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", metavar="IMAGE", help="such as debian-supervisord-xfce4")
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="write a picture instead, and end")
    parser.add_argument("--size", type=_size, default=SIZE, metavar="WxH", help="of the picture (1280x800)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"for the browser (default: {DEFAULT_PORT})"
    )
    parser.add_argument("--user", default="ada", help="name of the desktop's user (default: ada)")
    parser.add_argument("--allow-root", action="store_true", help="let the user become root, with systemd")
    parser.add_argument(
        "--manager",
        choices=MANAGERS,
        default=MANAGERS[-1],
        help="which generation of kVDI launches (default: 2021)",
    )


def run(options: argparse.Namespace, layout: Layout, services: Services, progress: Progress) -> int:
    """Try one image; return 0.

    Raises:
        LocalCloudError: it cannot be built, launched or shown.
    """
    # Only here: what reads pictures takes longer to load than most other commands to run.
    from desktops.docker import Docker
    from desktops.images import Workshop
    from desktops.launch import Generation
    from desktops.tryout import Options, try_out

    chosen = Options(
        image=options.image,
        generation=Generation[f"OF_{options.manager}"],
        screenshot=options.screenshot,
        size=options.size,
        port=options.port,
        user=options.user,
        allow_root=options.allow_root,
    )
    chosen.check()
    ran_before = services.find(SERVICE) is not None
    engine = ensure_engine(layout, services, progress)
    try:
        docker = Docker(engine.program, engine.environment)
        try_out(chosen, Workshop(docker, layout.cache, progress.say), progress)
    finally:
        # A daemon that was started for this alone ends with it; its images stay for the next time.
        if not ran_before and services.find(SERVICE):
            services.stop(SERVICE)
            clean_up_engine(layout)
    return 0


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and 64 <= int(width) <= 8192 and 64 <= int(height) <= 8192):
        raise argparse.ArgumentTypeError(f"must be such as 1280x800, not {text!r}")
    return int(width), int(height)
