"""The images of the box, and builds of them that fail."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from localcloud.internet import box, debian, images
from localcloud.internet.commands import find_tool
from localcloud.internet.errors import InternetError
from localcloud.internet.layers import directory, file, tree
from localcloud.internet.oci import DOCKER, OCI
from localcloud.internet.trust import trust

SCRIPTS = Path(__file__).parents[2] / "scripts"
CERTIFICATES = [
    b"-----BEGIN CERTIFICATE-----\n%d\n-----END CERTIFICATE-----\n" % number for number in range(3)
]


def test_every_image_is_for_both_architectures_and_complete(content: box.Content) -> None:
    layout = content.images
    assert len(layout.references) == 5
    for descriptor in layout.references.values():
        entries = layout.read(descriptor.digest)["manifests"]
        assert [entry["platform"]["architecture"] for entry in entries] == ["amd64", "arm64"]
        for entry in entries:
            manifest = layout.read(entry["digest"])
            for blob in (manifest["config"], *manifest["layers"]):
                data = layout.blob(blob["digest"]).read_bytes()
                assert len(data) == blob["size"]
                assert blob["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_both_manifest_families_share_a_layer(content: box.Content) -> None:
    layout, found = content.images, []
    for reference in ("docker.io/library/busybox:1.35", "registry.k8s.io/e2e/echo:1.0"):
        index = layout.references[reference]
        manifest = layout.read(layout.read(index.digest)["manifests"][0]["digest"])
        found.append((index.media_type, manifest["layers"][0]["mediaType"], manifest["layers"][0]["digest"]))
    busybox, echo = found
    assert busybox[:2] == (OCI.index, OCI.layer)
    assert echo[:2] == (DOCKER.index, DOCKER.layer)
    assert busybox[2] == echo[2]


def test_two_tags_of_one_image(content: box.Content) -> None:
    references = content.images.references
    assert references["docker.io/library/busybox:1.35"] == references["docker.io/library/busybox:1.35.0"]


def test_failing_step_leaves_no_image_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(selection: debian.Selection, archive: Path) -> None:
        archive.touch()  # noqa: ASYNC240
        raise InternetError("`mmdebstrap` failed")

    monkeypatch.setattr(debian, "fetch", fail)
    with pytest.raises(InternetError, match="mmdebstrap"):
        images.build_images(tmp_path, lambda _: None)
    assert [path.name for path in (tmp_path / "images").iterdir()] == [".lock"]


def test_interrupt_ends_the_programs_and_leaves_nothing(tmp_path: Path) -> None:
    tools, started = tmp_path / "bin", tmp_path / "started"
    tools.mkdir()
    started.mkdir()
    tool = tools / "mmdebstrap"
    tool.write_text(f"#!/bin/sh\ntouch {started}/$$\nsleep 60\n")
    tool.chmod(0o755)
    program = "import sys, pathlib; from localcloud.internet.images import build_images; "
    program += "build_images(pathlib.Path(sys.argv[1]), print)"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "cache")],
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 20
    while len(list(started.iterdir())) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(20) != 0
    finally:
        process.kill()
    assert [path.name for path in (tmp_path / "cache" / "images").iterdir()] == [".lock"]
    assert not [path.name for path in started.iterdir() if Path("/proc", path.name).exists()]


async def test_failed_command_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "mmdebstrap"
    tool.write_text("#!/bin/sh\necho 'E: no such suite' >&2\nexit 25\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    selection = debian.Selection("amd64", "extract", ("hello",))
    with pytest.raises(InternetError, match=r"(?s)mmdebstrap .*exit code 25:\n  E: no such suite"):
        await debian.fetch(selection, tmp_path / "x.tar")


def test_missing_tool_names_its_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InternetError, match="apt-get install mmdebstrap debian-archive-keyring"):
        find_tool(["mmdebstrap"], ["mmdebstrap", "debian-archive-keyring"])


def test_environment_is_set_only_for_a_bundle_of_the_machines_own() -> None:
    packaged = b"".join(CERTIFICATES[:2])
    assert trust(packaged, packaged).environment == ()
    assert trust(packaged, b"").environment == ()
    own = trust(packaged, packaged + CERTIFICATES[2])
    assert [name.partition("=")[0] for name in own.environment] == [
        "SSL_CERT_FILE",
        "PIP_CERT",
        "NODE_EXTRA_CA_CERTS",
    ]
    assert own.files["usr/local/share/ca-certificates/host-001.crt"].read() == CERTIFICATES[2]


def test_recipe_hash_covers_the_trusted_authorities() -> None:
    assert images.recipe_hash(b"one") != images.recipe_hash(b"two")


def test_an_unpacked_system_has_its_programs_below_usr() -> None:
    files = debian.system(
        tree([directory("bin"), file("bin/sh", b""), directory("usr"), file("etc/hostname", b"builder")])
    )
    assert set(files) == {"usr", "usr/bin", "usr/bin/sh", "bin"}
    assert files["bin"].target == "usr/bin"
