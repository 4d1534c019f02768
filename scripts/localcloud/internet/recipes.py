"""What the images of the box consist of."""

from __future__ import annotations

import fnmatch
import gzip
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .debian import SUITE, Selection, system
from .errors import InternetError
from .layers import Entry, Tree, directory, file, symlink, tree, with_parents
from .oci import DOCKER, OCI, MediaTypes
from .trust import Trust

ARCHITECTURES = ("amd64", "arm64")
BUSYBOX_VERSION = "1.35"
NODE_EXPORTER_VERSION = "1.5.0"

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# An arm64 system cannot be set up on another machine, so that one is unpacked and no more.
BASES = {
    "amd64": Selection("amd64", "minbase", ("ca-certificates",)),
    "arm64": Selection(
        "arm64",
        "extract",
        ("base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "libc-bin"),
    ),
}
PROGRAMS = {
    architecture: Selection(architecture, "extract", ("busybox-static", "prometheus-node-exporter"))
    for architecture in ARCHITECTURES
}
_APPLETS = """
    [ [[ arch ash awk base64 basename bunzip2 bzcat cat chgrp chmod chown chroot clear cmp cp cpio cut date
    dd df diff dirname dmesg dos2unix du echo ed egrep env expand expr factor false fgrep find fold free
    getopt grep groups gunzip gzip head hexdump hostid hostname httpd id ifconfig ip kill killall
    less link ln logger logname ls lzcat md5sum mkdir mkfifo mknod mktemp more mount mv nc netstat nl nproc
    nslookup od paste patch pidof ping printf ps pwd readlink realpath reset rev rm rmdir route sed seq
    setsid sh sha1sum sha256sum sha512sum shuf sleep sort stat strings stty sync sysctl tac tail tar
    tee telnet test tftp time timeout top touch tr true truncate tty umount uname uniq unix2dos unxz unzip
    uptime usleep vi watch wc wget which whoami xargs xxd xz xzcat yes zcat
"""
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_GROUP = b"root:x:0:\nnogroup:x:65534:\n"


@dataclass(frozen=True)
class Ingredients:
    """The package files of one architecture, and the machine's certificate authorities."""

    base: Tree
    programs: Tree
    trust: Trust


@dataclass(frozen=True)
class Recipe:
    """One image: its names, how each layer is made for an architecture, and its run configuration."""

    references: tuple[str, ...]
    layers: tuple[Callable[[Ingredients], Tree], ...]
    config: Mapping[str, object]
    media_types: MediaTypes = OCI
    environment: Callable[[Ingredients], Sequence[str]] = field(default=lambda _: ())


def check_versions(programs: Tree) -> None:
    """Make sure that the packages have the versions by which the images are named."""
    for package, wanted in (
        ("busybox-static", f"(1:{BUSYBOX_VERSION}."),
        ("prometheus-node-exporter", f"({NODE_EXPORTER_VERSION}-"),
    ):
        changelog = gzip.decompress(programs[f"usr/share/doc/{package}/changelog.Debian.gz"].read())
        newest = changelog.decode(errors="replace").partition("\n")[0]
        if wanted not in newest:
            raise InternetError(f"{package} in Debian {SUITE} is not version {wanted.strip('(-.')}: {newest}")


def _debian(ingredients: Ingredients) -> Tree:
    base = system(ingredients.base)
    accounts = {
        f"etc/{name}": Entry(f"etc/{name}", read=base[master].read)
        for name in ("passwd", "group")
        if (master := f"usr/share/base-passwd/{name}.master") in base
    }
    # Packages installed in a build must not start their services.
    no_services = tree([file("usr/sbin/policy-rc.d", b"#!/bin/sh\nexit 101\n", 0o755)])
    return with_parents(accounts | base | no_services) | ingredients.trust.files


def _busybox(ingredients: Ingredients) -> Tree:
    busybox = ingredients.programs["bin/busybox"]
    links = (symlink(f"bin/{applet}", "busybox") for applet in _APPLETS.split())
    folders = [directory("tmp", 0o1777), directory("root", 0o700), directory("var/tmp", 0o1777)]
    accounts = [file("etc/passwd", _PASSWD), file("etc/group", _GROUP)]
    return with_parents(tree([busybox, *links, *folders, *accounts]))


def _echo_page(_: Ingredients) -> Tree:
    return with_parents(tree([file("www/index.html", b"echo\n"), file("www/healthz", b"ok\n")]))


def _node_exporter(ingredients: Ingredients) -> Tree:
    wanted = (
        "usr/bin/prometheus-node-exporter",
        "lib/*ld-linux*.so.*",
        "lib64/ld-linux*.so.*",
        "lib/*/libc.so.6",
    )
    chosen = {
        path: entry
        for path, entry in ingredients.programs.items()
        if entry.kind != tarfile.DIRTYPE and any(fnmatch.fnmatchcase(path, pattern) for pattern in wanted)
    }
    accounts = [file("etc/passwd", _PASSWD), file("etc/group", _GROUP)]
    link = symlink("bin/node_exporter", "/usr/bin/prometheus-node-exporter")
    return with_parents(chosen | tree([link, *accounts]))


RECIPES = (
    Recipe(
        references=(f"docker.io/library/debian:{SUITE}",),
        layers=(_debian,),
        config={"Cmd": ["bash"], "Env": [_PATH]},
        environment=lambda ingredients: ingredients.trust.environment,
    ),
    # One image by two tags.
    Recipe(
        references=(
            f"docker.io/library/busybox:{BUSYBOX_VERSION}",
            f"docker.io/library/busybox:{BUSYBOX_VERSION}.0",
        ),
        layers=(_busybox,),
        config={"Cmd": ["sh"], "Env": [_PATH]},
    ),
    Recipe(
        references=(f"quay.io/prometheus/node-exporter:v{NODE_EXPORTER_VERSION}",),
        layers=(_node_exporter,),
        config={
            "Entrypoint": ["/bin/node_exporter"],
            "Env": [_PATH],
            "ExposedPorts": {"9100/tcp": {}},
            "User": "65534",
        },
    ),
    # Docker's media types, and a layer that another repository has under OCI's.
    Recipe(
        references=("registry.k8s.io/e2e/echo:1.0",),
        layers=(_busybox, _echo_page),
        config={
            "Cmd": ["httpd", "-f", "-v", "-p", "8080", "-h", "/www"],
            "Env": [_PATH],
            "ExposedPorts": {"8080/tcp": {}},
            "User": "65534",
        },
        media_types=DOCKER,
    ),
)
