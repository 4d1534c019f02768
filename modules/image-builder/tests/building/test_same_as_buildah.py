"""The same request, assembled and built by buildah itself, makes the same files and configuration."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from image_builder.layers.image import Image

from .support import Bench, Pulled, pull, tar_of

pytestmark = pytest.mark.engine

ARCHIVE = tar_of({"sub": None, "sub/file": b"unpacked", "link": "sub/file"}, owner=(5, 6))


@pytest.fixture(scope="module")
def buildah(registry: str) -> Iterator["Buildah"]:
    """buildah as it is, with a store of the test's own."""
    folder = Path(tempfile.mkdtemp(prefix="image-builder-buildah-"))
    yield Buildah(folder, registry)
    shutil.rmtree(folder)


class Buildah:
    """Builds a Dockerfile and pushes it."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder = folder
        self.registry = registry

    def build(self, image: Image) -> Pulled:
        """What buildah makes of an image's Dockerfile."""
        context = Path(tempfile.mkdtemp(dir=self.folder, prefix="context-"))
        context.chmod(0o755)  # it is the mode of what `copy .` makes
        for name, file in image.files.items():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (context / name).write_bytes(file.data)
            (context / name).chmod(int(file.mode, 8))
        (self.folder / "Dockerfile").write_text(image.dockerfile())
        self.run(
            *("bud", "--isolation", "chroot", "--layers=false", "--format", "docker", "--timestamp", "0"),
            *("--tls-verify=false", "--identity-label=false", "--tag", "localhost/x", "--file"),
            *(self.folder / "Dockerfile", context),
        )
        target = f"buildah/{image.name}:1"
        self.run("push", "--tls-verify=false", "localhost/x", f"docker://{self.registry}/{target}")
        return pull(self.registry, target)

    def run(self, *arguments: object) -> None:
        """One command, in the test's own store."""
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        command, *rest = map(str, arguments)
        store = [
            "--root",
            f"{self.folder}/graph",
            "--runroot",
            f"{self.folder}/run",
            "--storage-driver",
            "vfs",
        ]
        done = subprocess.run(
            ["buildah", *store, command, "--signature-policy", str(policy), *rest],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr


def files(image: Image) -> Image:
    return (
        image.file("one", b"1")
        .file("run.sh", b"#!/bin/sh\n", "0755")
        .file("dir/a", b"a", "0640")
        .file("dir/deep/b", b"b")
        .file("three.txt", b"3")
        .file("four.txt", b"4")
        .file("archive.tar", ARCHIVE)
    )


CASES: dict[str, Callable[[Image], Image]] = {
    "file to a new name": lambda image: image.copy("one", "/new/place/two"),
    "file into a folder": lambda image: image.copy("one", "/srv/app").copy("run.sh", "/srv/new/"),
    "file through a link": lambda image: image.copy("run.sh", "/bin/").copy("one", "/bin/one.txt"),
    "file over a file": lambda image: image.copy("one", "/srv/kept"),
    "folder": lambda image: image.copy("dir", "/out").copy("dir", "/srv/app/"),
    "folder over a folder": lambda image: image.copy("dir", "/srv"),
    "everything": lambda image: image.copy(".", "/all"),
    "wildcards": lambda image: image.copy("*.txt", "/texts/").copy("dir/*", "/flat/"),
    "owner by number": lambda image: image.copy("dir", "/new/dir", user_id="7", group_id="8"),
    "owner by name": lambda image: image.copy("one", "/a/b/c", user_id="app", group_id="staff"),
    "owner without group": lambda image: image.copy("one", "/1", user_id="app").copy(
        "one", "/2", user_id="12"
    ),
    "permissions": lambda image: image.copy("dir", "/out", permissions="0700").copy(
        "one", "/one", permissions="4755"
    ),
    "relative to a workdir": lambda image: (
        image.workdir("/work").workdir("deep").copy("one", "a/b").copy("one", ".")
    ),
    "workdir of a user": lambda image: image.user("app").workdir("/home/app/x"),
    "archive": lambda image: image.add("archive.tar", "/un/packed"),
    "archive with owner": lambda image: image.add("archive.tar", "/un/packed", user_id="app"),
    "archive through a link": lambda image: image.add("archive.tar", "/bin"),
    "archive that is copied": lambda image: image.copy("archive.tar", "/srv/"),
    "plain file by add": lambda image: image.add("one", "/srv/added"),
    "variables": lambda image: image.arg("A", "x").env(["D"], ["/d$A"]).copy("one", "$D/${A:-y}/${Z:-z}"),
    "between stages": lambda image: (
        image.copy("dir", "/out", user_id="app").stage("scratch").copy("/out", "/in", from_layer="0")
    ),
    "a file between stages": lambda image: (
        image.copy("run.sh", "/out/x", user_id="app").stage("scratch").copy("/out/x", "/y/", from_layer="0")
    ),
    "stage on a stage": lambda image: image.copy("one", "/one").stage("first").copy("run.sh", "/two"),
    "last copy wins": lambda image: image.copy("one", "/x").copy("run.sh", "/x"),
    "environment": lambda image: image.env(["A", "B", "PATH"], ["a b", '"quoted" \\ x', "/x:$PATH"]).env(
        ["A"], ["$A $$ \\$A ${KIND}"]
    ),
    "command": lambda image: image.cmd(["a", "b c", 'q"x\\']),
    "entrypoint drops the base's command": lambda image: image.entrypoint(["/x"]),
    "entrypoint keeps its own command": lambda image: image.cmd(["y"]).entrypoint(["/x"]),
    "shell": lambda image: image.shell("/bin/sh", ["-ec"]),
    "rest": lambda image: (
        image.user("app", "staff")
        .expose([80, "53/udp"])  # of a range, buildah makes one entry, and Docker one for each port
        .volume(["/data", "/more"])
        .label("org.example/x", 'a "b" $KIND')
        .stopsignal("SIGTERM")
        .maintainer("Someone <a@example.com>")
        .healthcheck(["true", "x"], interval=1.5, timeout=2, start_period=3, retries=4)
    ),
}


@pytest.mark.parametrize("layers", CASES.values(), ids=CASES)
def test_both_make_the_same_image(
    builder: Bench, base: str, buildah: Buildah, layers: Callable[[Image], Image]
) -> None:
    image = layers(files(Image("compared")).stage(base, "1", alias="first"))

    result = builder.build(image)

    theirs, ours = buildah.build(image), builder.pull("team/compared:latest")
    assert result.way == "assembled"
    assert ours.tree == theirs.tree
    assert runtime(ours) == runtime(theirs)


def runtime(image: Pulled) -> dict[str, Any]:
    """What a container of an image begins with; empty and absent are the same."""
    about = {"author": image.config.get("author"), **image.config["config"]}
    left_out = {"Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr", "Tty"}
    about["Env"] = sorted(about.get("Env") or [])
    return {key: value for key, value in about.items() if value and key not in left_out}
