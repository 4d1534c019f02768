"""The proof and the lock: what was proven stays so, and the helm that proved it is remembered."""

import os
from pathlib import Path

import pytest
from dockerimage_replication import apply
from dockerimage_replication.proof import program
from dockerimage_replication.shared.errors import UserError
from replication_support import World, packed

OUTSIDE = "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{image: 'ghcr.io/elsewhere/tool:v9'}]}\n"


def test_a_result_that_was_proven_is_not_proven_again(
    world: World, newest_helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.apply()
    helm = world.lock().helm
    assert helm is not None
    assert helm.version == f"v{newest_helm.parent.name}"
    capsys.readouterr()

    world.apply()

    assert "rendered" not in capsys.readouterr().out
    assert world.lock().helm == helm


def test_a_result_that_nothing_proved_is_proven_when_a_helm_comes(
    world: World, monkeypatch: pytest.MonkeyPatch, newest_helm: Path
) -> None:
    monkeypatch.setattr(program, "helm_on_path", lambda: None)
    world.publish_template(OUTSIDE)
    world.apply()
    assert world.lock().helm is None

    monkeypatch.setattr(program, "helm_on_path", lambda: newest_helm)
    with pytest.raises(UserError, match="is outside the private registry"):
        world.apply()


def test_a_helm_archive_without_checksum_is_remembered_and_may_not_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor when the charts have changed meanwhile, or the tags are asked for again."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    script = b"#!/bin/sh\n[ $1 != version ] || echo v9.0.0\n"  # it renders nothing
    world.charts.files["/helm.tar.gz"] = packed({f"linux-{machine}/helm": script})
    url = f"http://{world.charts.address}/helm.tar.gz"
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_URL", url)
    world.apply()
    before = world.lock().helm
    assert before is not None
    assert (before.url, before.version) == (url, "v9.0.0")

    world.charts.files["/helm.tar.gz"] = packed({f"linux-{machine}/helm": script + b"# another\n"})

    with pytest.raises(UserError, match=f"has changed: its SHA-256 was {before.sha256}"):
        apply.apply(refresh=True)
