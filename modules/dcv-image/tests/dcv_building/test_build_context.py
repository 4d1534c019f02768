"""What a build starts from: names and content count, and nothing else does."""

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dcv_image.shared_build.build_context import TIMESTAMP, files, settle, stage
from dcv_image.shared_build.engine import LocalImage
from dcv_image.shared_build.publish import Recipe

BASE = LocalImage("a/b@sha256:1", "sha256:1", "amd64", (), 0, datetime(2024, 1, 1, tzinfo=UTC))


def test_the_fingerprint_depends_on_every_input_and_on_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "x.sh"
    script.write_text("one")
    recipe = Recipe(BASE, tmp_path, arguments={"A": "1"}, labels={"l": "1"}, inputs={"archive": "1"})
    first = recipe.fingerprint

    script.chmod(0o755)
    os.utime(script, (0, 0))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert recipe.fingerprint == first
    assert replace(recipe, base=replace(BASE, reference="mirror/b@sha256:1")).fingerprint == first
    assert replace(recipe, secrets={"s": script}).fingerprint == first

    others = [
        replace(recipe, base=replace(BASE, digest="sha256:2")),
        replace(recipe, base=replace(BASE, architecture="arm64")),
        replace(recipe, dockerfile="other/Dockerfile"),
        replace(recipe, arguments={"A": "2"}),
        replace(recipe, labels={"l": "2"}),
        replace(recipe, inputs={"archive": "2"}),
    ]
    found = {other.fingerprint for other in others}
    script.write_text("two")
    found.add(recipe.fingerprint)
    script.rename(tmp_path / "bin" / "y.sh")
    found.add(recipe.fingerprint)
    assert len(found - {first}) == len(others) + 2


def test_only_the_paths_of_the_image_count(tmp_path: Path) -> None:
    for name in ("parts/common.sh", "one/Dockerfile", "two/Dockerfile"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)

    assert set(files(tmp_path, ["parts", "one/Dockerfile"])) == {"parts/common.sh", "one/Dockerfile"}


def test_every_checkout_gives_the_same_context(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o600)
    (source / "text").write_text("text")
    (source / "text").chmod(0o777)
    target = tmp_path / "target"
    target.mkdir()

    stage(files(source, ["."]), target)
    settle(target)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")}
    assert modes == {"bin": 0o755, "run": 0o755, "text": 0o644}
    assert {path.stat().st_mtime for path in [target, *target.rglob("*")]} == {TIMESTAMP}
