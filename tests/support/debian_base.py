"""A Debian image in the container engine, to build on: the one that the local cloud's internet offers."""

import os
import platform
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.internet.images import build_images
from localcloud.layout import Layout

REFERENCE = "docker.io/library/debian:bookworm"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@contextmanager
def debian_base() -> Iterator[str]:
    """Load it under a name of its own; the first call on a machine makes it (half a minute)."""
    images = build_images(Layout.from_environment(os.environ).cache, print)
    name = f"localhost/airgap-test-debian:{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="debian-base-") as folder:
        archive = Path(folder, "image.tar")
        architecture = ARCHITECTURES[platform.machine()]
        source, target = f"oci:{images.root}:{REFERENCE}", f"docker-archive:{archive}:{name}"
        # `--insecure-policy`: the source is a file that we made.
        copy = ["skopeo", "copy", "--quiet", "--insecure-policy", "--override-arch", architecture]
        subprocess.run([*copy, source, target], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["docker", "load", "--input", str(archive)], check=True, stdout=subprocess.DEVNULL)
    try:
        yield name
    finally:
        subprocess.run(["docker", "image", "rm", name], capture_output=True, check=False)
