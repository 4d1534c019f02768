"""A small catalogue, and what stands for the engine where the order of things is the point."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kvdi_desktops.shared.ecr import Login
from kvdi_desktops.shared.errors import UserError
from kvdi_desktops.shared_build.engine import Engine, LocalImage
from kvdi_desktops.shared_build.publish import Recipe, Target
from kvdi_desktops.shared_build.registry import PublishedImage

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
PREFIX = "SEEDFARMER_PARAMETER_"
BASE_DIGEST = f"sha256:{'b' * 64}"
DESKTOP = """\
title: {name}
description: the desktop {name}
{parent}
systems:
  debian: {{families: [supervisord, systemd], state: tested}}
  arch: {{families: [supervisord], state: linted}}
"""
# Nothing runs in these builds, so that any base will do.
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
ARG FAMILY
COPY parts /parts
COPY {name} /{name}
LABEL family=${{FAMILY}}
"""


def write_catalogue(folder: Path) -> None:
    """Two desktops on `base`: `office` and `games`."""
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "start.sh").write_text("#!/bin/sh\n")
    for name, parent in {"base": "", "office": "parent: base", "games": "parent: base"}.items():
        (folder / name).mkdir()
        (folder / name / "desktop.yaml").write_text(DESKTOP.format(name=name, parent=parent))
        (folder / name / "Dockerfile").write_text(DOCKERFILE.format(name=name))


def set_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What SeedFarmer sets for a manifest without parameters, and nothing of the developer's AWS settings."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SEEDFARMER_")):
            monkeypatch.delenv(name)
    values = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": "prod",
        "SEEDFARMER_MODULE_NAME": "desktops-kvdi",
        f"{PREFIX}IMAGES": "debian-*",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@dataclass
class Workshop:
    """Stands for engine and registry: remembers what it was asked for, and fails where it is told to."""

    pulled: list[str] = field(default_factory=list)
    built_on: dict[str, str] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)

    @contextmanager
    def private(self) -> Iterator["Workshop"]:
        """In place of `Engine.private`."""
        yield self

    def login(self, host: str, _: Login) -> None:
        self.logins.append(host)

    def pull(self, reference: str, parameter: str) -> LocalImage:
        if reference in self.fails:
            raise UserError(f"manifest parameter `{parameter}`: {reference} cannot be pulled")
        self.pulled.append(reference)
        digest = reference.partition("@")[2] or BASE_DIGEST
        name = reference.partition("@")[0]
        return LocalImage(f"{name}@{digest}", digest, "amd64", (), 1, datetime(2026, 1, 1, tzinfo=UTC))

    def publish(self, _: Engine, recipe: Recipe, target: Target) -> PublishedImage:
        """In place of `publish`: the digest follows from what the image is made from."""
        image = target.repository.rpartition("/")[2]
        if image in self.fails:
            raise UserError(f"manifest parameter `{target.base_parameter}`: the build failed")
        self.built_on[image] = recipe.base.reference
        digest = f"sha256:{hashlib.sha256(recipe.fingerprint.encode()).hexdigest()}"
        return PublishedImage(digest, {target.label: recipe.fingerprint})
