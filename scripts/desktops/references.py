"""Makes the reference pictures of a desktop: `PYTHONPATH=scripts python -m desktops.references IMAGE`.

Whoever runs this looks at the screenshots, which are kept beside, before he keeps the references.
"""

import sys
import tempfile
from pathlib import Path

from localcloud.layout import Layout

from . import catalogue, pictures, pod
from .docker import Docker
from .images import Workshop
from .launch import Launch

SIZES = ((800, 600), (1024, 768), (1280, 720), (1366, 768), (1920, 1080), (2560, 1440))  # pixels
STILL_SECONDS, SECONDS = 4.0, 15.0  # a cursor that blinks is never still
START_STILL_SECONDS, START_SECONDS = 20.0, 60.0  # large desktops show nothing for a while


def main(name: str) -> int:
    """Write a picture for each size; say where the full screenshots are."""
    docker = Docker()
    workshop = Workshop(docker, Layout.from_environment().cache, print)
    image = catalogue.find(catalogue.load(), name)
    shots = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    with pod.running(docker, Launch(workshop.image(name), image.family, restricted=True)) as desktop:
        with desktop.connect() as client:
            client.wait_until_still(START_STILL_SECONDS, START_SECONDS)
        for size in SIZES:
            with desktop.connect() as client:
                client.resize(*size)
                picture = client.wait_until_still(STILL_SECONDS, SECONDS)
            target = pictures.reference(image.desktop, size)
            target.parent.mkdir(parents=True, exist_ok=True)
            pictures.write(pictures.blocks(picture), target)
            pictures.write(picture, shots / target.name)
    print(f"references in {target.parent}; the screenshots that they are made from: {shots}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
