"""The data files of the repository, which manifests name as `dataFiles`."""

from pathlib import Path

import pytest
from dockerimage_replication import datafiles

FOLDER = Path(__file__).parents[3] / "data/eks_dockerimage-replication/versions"
VERSIONS = sorted(path.stem for path in FOLDER.glob("1.*.yaml"))


def test_there_are_versions() -> None:
    assert VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_can_be_read(version: str) -> None:
    data = datafiles.load(FOLDER, version)

    assert data.workloads
