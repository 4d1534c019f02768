"""Two projects in one account whose names share a prefix: cleaning up one leaves the other whole."""

import shutil
from pathlib import Path

import pytest
from support.local import LocalCloud

pytestmark = pytest.mark.engine

DEPLOYMENT = """\
name: prod
toolchainRegion: us-east-1
groups:
  - name: replication
    path: manifests/replication.yaml
targetAccountMappings:
  - alias: primary
    accountId: {valueFrom: {envVariable: LOCAL_ACCOUNT_ID}}
    default: true
    regionMappings:
      - {region: us-east-1, default: true}
"""
REPLICATION = """\
name: images
path: modules/dockerimage-replication
dataFiles:
  - filePath: data/local_dockerimage-replication/versions/default.yaml
  - filePath: data/local_dockerimage-replication/versions/1.33.yaml
parameters:
  - {name: eks-version, value: "1.33"}
  - {name: data-path, value: data/local_dockerimage-replication/versions}
  - {name: retention-type, value: DESTROY}
  - {name: registry-endpoints, valueFrom: {envVariable: LOCAL_REGISTRY_ENDPOINTS}}
"""


def make_project(checkout: Path, folder: Path, name: str) -> Path:
    """A project of that name with a replication module."""
    shutil.copytree(
        checkout / "modules" / "dockerimage-replication", folder / "modules" / "dockerimage-replication"
    )
    shutil.copytree(checkout / "data", folder / "data")
    (folder / "manifests").mkdir()
    (folder / "seedfarmer.yaml").write_text(f"project: {name}\nseedfarmer_version: 8.0.9\n")
    (folder / "manifests" / "deployment.yaml").write_text(DEPLOYMENT)
    (folder / "manifests" / "replication.yaml").write_text(REPLICATION)
    return folder


def test_destroying_a_project_leaves_its_neighbour_with_the_longer_name(
    cloud: LocalCloud, checkout: Path, tmp_path: Path
) -> None:
    manifest = "manifests/deployment.yaml"
    idf = make_project(checkout, tmp_path / "idf", "idf")
    other = make_project(checkout, tmp_path / "other", "idf-other")
    cloud.must("apply", manifest, project=idf)
    cloud.must("apply", manifest, project=other)
    before = neighbours_things(cloud)
    assert len(before["images"]) > 3

    cloud.must("destroy", manifest, project=idf)

    assert neighbours_things(cloud) == before
    left = cloud.inventory()
    assert {name for name in left.repositories if name.startswith("idf-")} == set(before["repositories"])
    assert "idf-dkr-img-rep-md-us-east-1-123456789012" not in left.buckets
    cloud.must("destroy", manifest, project=other)
    assert {name for name in cloud.inventory().repositories if name.startswith("idf")} == set()


def neighbours_things(cloud: LocalCloud) -> dict[str, list[str]]:
    """Every repository, image and object of `idf-other`."""
    ecr, s3 = cloud.client("ecr"), cloud.client("s3")
    repositories = sorted(name for name in cloud.inventory().repositories if name.startswith("idf-other-"))
    images = [
        f"{repository}@{image['imageDigest']}"
        for repository in repositories
        for image in ecr.describe_images(repositoryName=repository)["imageDetails"]
    ]
    bucket = "idf-other-dkr-img-rep-md-us-east-1-123456789012"
    objects = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    return {"repositories": repositories, "images": sorted(images), "objects": sorted(objects)}
