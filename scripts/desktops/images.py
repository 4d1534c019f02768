"""Desktop images built on this machine, each on its parent, named after what they are made from."""

import asyncio
import hashlib
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud import packages
from localcloud.errors import UsageError
from localcloud.internet.debian import Selection, fetch

from . import catalogue
from .catalogue import DesktopImage
from .docker import Docker

REPOSITORY = "airgap-desktops"
PUBLIC_BASES = {
    "debian": "docker.io/library/debian:12-slim",
    "ubuntu": "docker.io/library/ubuntu:24.04",
    "arch": "docker.io/library/archlinux:base",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Workshop:
    """Builds images, and keeps them in the engine.

    Attributes:
        cache: folder for Debian's base system, which is made from packages.
        say: told what takes long.
        folder: the module's `images/`.
    """

    docker: Docker
    cache: Path
    say: Callable[[str], None]
    folder: Path = catalogue.FOLDER

    def image(self, name: str) -> str:
        """The reference of an image, built with those below it unless the engine has it.

        Raises:
            UsageError: there is no such image.
            LocalCloudError: a build failed; with its last lines.
        """
        return self._ensure(catalogue.find(catalogue.load(self.folder), name))

    def base(self, system: str) -> str:
        """What images of a system are built on: Debian made from its packages, others by public name."""
        if system not in PUBLIC_BASES:
            raise UsageError(f"no public base is known for the system {system!r}")
        if system == "debian" and (shutil.which("mmdebstrap") or packages.can_install()):
            return self._debian()
        return PUBLIC_BASES[system]

    def _ensure(self, image: DesktopImage) -> str:
        parent = image.parent_name
        base = self.image(parent) if parent else self.base(image.system)
        made_from = _fingerprint(self.folder, (catalogue.PARTS, image.desktop), base)
        reference = f"{REPOSITORY}:{image.name}-{made_from}"
        if not self.docker.has_image(reference):
            self.say(f"building {image.name}")
            arguments = {"BASE_IMAGE": base, "SYSTEM": image.system, "FAMILY": image.family.value}
            self.docker.build(self.folder, reference, arguments, self.folder / image.desktop / "Dockerfile")
        return reference

    def _debian(self) -> str:
        reference = f"{REPOSITORY}:debian-12-slim"
        if not self.docker.has_image(reference):
            archive = self.cache / "desktops" / "debian-12-slim.tar"
            if not archive.exists():
                self.say("making Debian's base system")
                archive.parent.mkdir(parents=True, exist_ok=True)
                unfinished = archive.with_suffix(".new.tar")
                architecture = ARCHITECTURES[platform.machine()]
                asyncio.run(fetch(Selection(architecture, "minbase", ("ca-certificates",)), unfinished))
                unfinished.replace(archive)
            self.docker.run("import", str(archive), reference)
        return reference


def _fingerprint(folder: Path, parts: tuple[str, ...], base: str) -> str:
    """Short hash of every file that an image is made from, and of what it is built on."""
    content = hashlib.sha256(base.encode())
    for path in sorted(path for part in parts for path in (folder / part).rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts:
            content.update(f"{path.relative_to(folder)}\0".encode())
            content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:12]
