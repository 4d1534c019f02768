"""An image of the catalogue, built twice: the same inputs give the same image, byte for byte."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from desktops.docker import Docker
from desktops.images import Workshop
from kvdi_desktops import building, catalogue
from kvdi_desktops.catalogue import Catalogue
from kvdi_desktops.shared_build import publish
from kvdi_desktops.shared_build.engine import Engine
from localcloud.layout import Layout

# The others take minutes.
NAMES = ["debian-supervisord-base"]
LONG_NAMES = ["debian-systemd-base", "debian-supervisord-xfce4", "debian-systemd-xfce4"]
LONG_NAMES += ["debian-supervisord-openbox", "debian-supervisord-dosbox", "debian-supervisord-kde"]
MIRROR = "http://deb.debian.org"  # has Debian's two archives where a mirror has to have them
PACKAGES = "/usr/share/kvdi-desktops/packages.txt"


def has_engine() -> bool:
    """Whether `docker` answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not has_engine(), reason="there is no container engine: set DOCKER_HOST"),
]


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop(Docker(), Layout.from_environment(os.environ).cache, print)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine.private() as driver:
        yield driver


@pytest.fixture
def forgetful(engine: Engine, tmp_path: Path) -> Engine:
    """The same engine without its cache of layers, which other builds go on to use."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != build ] || {{ shift; set -- build --no-cache "$@"; }}\n'
        f'exec {shutil.which("docker")} "$@"\n'
    )
    program.chmod(0o755)
    return replace(engine, environment={**engine.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"})


@pytest.mark.parametrize("name", NAMES + (LONG_NAMES if os.environ.get("AIRGAP_LONG") else []))
def test_two_builds_are_one_image(workshop: Workshop, engine: Engine, forgetful: Engine, name: str) -> None:
    image = Catalogue.load(catalogue.FOLDER).images[name]
    base = workshop.image(image.parent) if image.parent else workshop.base(image.system)
    recipe = building.recipe(image, engine.inspect(base, "debian-base-image"), mirror="")
    built = {}
    try:
        for number, driver in enumerate((engine, forgetful)):
            reference = f"localhost/airgap-test-reproducible/{name}:{os.getpid()}-{number}"
            publish.build(driver, recipe, recipe.labels, reference, "debian-base-image")
            built[reference] = workshop.docker.inspect(reference)["Id"]
        packages = {
            workshop.docker.run("run", "--rm", "--entrypoint", "cat", item, PACKAGES) for item in built
        }
        assert len(packages) == 1, "the mirror has newer packages than layers in the engine's cache: prune it"
        assert len(set(built.values())) == 1
    finally:
        for reference in built:
            engine.remove(reference)


def test_a_mirror_is_used_during_the_build_alone(workshop: Workshop, engine: Engine) -> None:
    image = Catalogue.load(catalogue.FOLDER).images["debian-supervisord-base"]
    base = workshop.base(image.system)
    recipe = building.recipe(image, engine.inspect(base, "debian-base-image"), mirror=MIRROR)
    reference = f"localhost/airgap-test-mirror/base:{os.getpid()}"
    try:
        publish.build(engine, recipe, recipe.labels, reference, "debian-base-image")

        assert sources(workshop.docker, reference) == sources(workshop.docker, base)
    finally:
        engine.remove(reference)


def sources(docker: Docker, image: str) -> str:
    """Where an image takes packages from, with owners and modes."""
    look = "cd /etc/apt && stat -c '%n %a %u' . sources.list* && cat sources.list sources.list.d/* 2>&1"
    return docker.run("run", "--rm", "--user=0", "--entrypoint=sh", image, "-c", f"{look} || true")
