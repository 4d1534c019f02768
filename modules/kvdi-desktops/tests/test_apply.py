"""`apply` and `destroy` against an emulated AWS; engine and registry are stand-ins here."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.model import OperationModel
from kvdi_desktops import apply, catalogue, cli, destroy
from kvdi_desktops.shared.errors import UserError
from kvdi_desktops.shared.outputs import read_outputs
from kvdi_desktops.shared.ownership import Owner
from kvdi_desktops.shared.usage import UsageRecords
from kvdi_support import ACCOUNT, BASE_DIGEST, PREFIX, REGISTRY, Workshop, set_environment, write_catalogue
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

MODULE = Path(__file__).resolve().parent.parent
BUCKET = f"idf-dkr-img-rep-md-us-east-1-{ACCOUNT}"
PUBLIC_BASE = "docker.io/library/debian:12-slim"
PRIVATE_BASE = f"{REGISTRY}/idf-docker.io/library/debian:12-slim"
ALL = [
    f"debian-{family}-{name}" for name in ("base", "games", "office") for family in ("supervisord", "systemd")
]
# IAM's name for an S3 operation that has another one (Amazon S3 user guide, Required permissions).
S3_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Workshop]:
    """A deployment of the small catalogue in an emulated account."""
    set_environment(monkeypatch)
    write_catalogue(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    made = Workshop()
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "images")
    monkeypatch.setattr(apply.Engine, "private", made.private)
    monkeypatch.setattr(apply, "publish", made.publish)
    with mock_aws():
        # Moto applies a bucket policy without its conditions: "deny plain http" would deny everything.
        monkeypatch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
        yield made


def replicate(monkeypatch: pytest.MonkeyPatch, images: dict[str, str]) -> None:
    """What the replication module leaves behind."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="inventories")
    s3.put_object(Bucket="inventories", Key="a/b.json", Body=json.dumps({"images": images}).encode())
    monkeypatch.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "inventories/a/b.json")


def repositories() -> set[str]:
    return {item["repositoryName"] for item in boto3.client("ecr").describe_repositories()["repositories"]}


def test_the_outputs_name_every_image_by_tag_and_by_digest(workshop: Workshop) -> None:
    assert cli.main(["apply"]) == 0

    outputs = {name: json.loads(value) for name, value in read_outputs().items()}
    assert set(outputs) == {"DesktopImageUris", "DesktopImageDigestUris"}
    uri = f"{REGISTRY}/idf-kvdi-desktops/debian-systemd-games"
    assert outputs["DesktopImageUris"]["debian-systemd-games"] == f"{uri}:latest"
    assert outputs["DesktopImageDigestUris"]["debian-systemd-games"].startswith(f"{uri}@sha256:")
    assert sorted(outputs["DesktopImageUris"]) == sorted(outputs["DesktopImageDigestUris"]) == sorted(ALL)


def test_each_image_has_its_repository_with_our_tags(workshop: Workshop) -> None:
    assert cli.main(["apply"]) == 0

    client = boto3.client("ecr")
    assert repositories() == {f"idf-kvdi-desktops/{name}" for name in ALL}
    for item in client.describe_repositories()["repositories"]:
        tags = client.list_tags_for_resource(resourceArn=item["repositoryArn"])["tags"]
        assert Owner("idf", "kvdi-desktops").owns(tags)


def test_the_manifest_may_choose_the_prefix(monkeypatch: pytest.MonkeyPatch, workshop: Workshop) -> None:
    monkeypatch.setenv(f"{PREFIX}ECR_REPOSITORY_PREFIX", "team/desks")
    monkeypatch.setenv(f"{PREFIX}IMAGES", "debian-systemd-base")

    assert cli.main(["apply"]) == 0

    assert repositories() == {"team/desks/debian-systemd-base"}


def test_the_base_is_the_private_copy_and_a_child_stands_on_its_parents_digest(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop
) -> None:
    replicate(monkeypatch, {PUBLIC_BASE: PRIVATE_BASE})

    assert cli.main(["apply"]) == 0

    assert workshop.built_on["debian-systemd-base"] == f"{PRIVATE_BASE}@{BASE_DIGEST}"
    digests = json.loads(read_outputs()["DesktopImageDigestUris"])
    assert workshop.built_on["debian-systemd-games"] == digests["debian-systemd-base"]


def test_a_base_that_was_not_replicated_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    replicate(monkeypatch, {})

    assert cli.main(["apply"]) == 0

    assert workshop.pulled[0] == PUBLIC_BASE
    assert "inventories/a/b.json has no copy" in capsys.readouterr().out


def test_the_public_base_of_another_system_is_another(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop
) -> None:
    monkeypatch.setenv(f"{PREFIX}IMAGES", "arch-supervisord-base")
    monkeypatch.setenv(f"{PREFIX}ARCH_BASE_IMAGE", "docker.io/library/archlinux:base-20261101.0.1")

    assert cli.main(["apply"]) == 0

    assert workshop.pulled == ["docker.io/library/archlinux:base-20261101.0.1"]


def test_a_changed_parent_changes_its_children_and_nothing_else(workshop: Workshop, tmp_path: Path) -> None:
    assert cli.main(["apply"]) == 0
    before = json.loads(read_outputs()["DesktopImageDigestUris"])
    (tmp_path / "images" / "games" / "added").write_text("a file")
    assert cli.main(["apply"]) == 0
    child = json.loads(read_outputs()["DesktopImageDigestUris"])
    (tmp_path / "images" / "base" / "added").write_text("a file")
    assert cli.main(["apply"]) == 0
    parent = json.loads(read_outputs()["DesktopImageDigestUris"])

    assert {name for name in ALL if before[name] != child[name]} == {name for name in ALL if "games" in name}
    assert {name for name in ALL if child[name] != parent[name]} == set(ALL)


def test_a_failing_image_is_named_and_stops_only_what_stands_on_it(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.fails = {"debian-systemd-base", "debian-supervisord-games"}

    assert cli.main(["apply"]) == 1

    assert set(workshop.built_on) == {"debian-supervisord-base", "debian-supervisord-office"}
    said = capsys.readouterr().err
    assert "4 of 6 images could not be built or published" in said
    assert "debian-systemd-base: manifest parameter `debian-base-image`: the build failed" in said
    assert "debian-systemd-office: was not built, because debian-systemd-base failed" in said
    assert "debian-supervisord-office" not in said
    assert read_outputs() == {}


def test_use_is_recorded_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop
) -> None:
    replicate(monkeypatch, {PUBLIC_BASE: PRIVATE_BASE})
    workshop.fails = {PRIVATE_BASE}

    assert cli.main(["apply"]) == 1

    used = UsageRecords(boto3.client("s3"), BUCKET).all()["prod", "desktops-kvdi"]
    assert used == {f"idf-kvdi-desktops/{name}" for name in ALL} | {"idf-docker.io/library/debian"}


def test_more_images_than_can_be_handed_over_are_refused_before_anything_is_made(workshop: Workshop) -> None:
    names = [f"image-{number}" for number in range(40)]

    with pytest.raises(UserError, match=r"`images`: the URIs of 40 images take \d+ bytes"):
        apply.outputs(
            {name: f"{REGISTRY}/idf-kvdi-desktops/{name}" for name in names},
            dict.fromkeys(names, BASE_DIGEST),
        )


def test_logins_go_to_the_registry_as_the_engine_reaches_it(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop
) -> None:
    endpoints = {REGISTRY: "http://127.0.0.1:5000"}
    monkeypatch.setenv(f"{PREFIX}REGISTRY_ENDPOINTS", json.dumps(endpoints))
    monkeypatch.setenv(f"{PREFIX}IMAGES", "debian-systemd-games")

    assert cli.main(["apply"]) == 0

    assert workshop.logins == ["127.0.0.1:5000"]
    assert workshop.built_on["debian-systemd-games"].startswith(
        "127.0.0.1:5000/idf-kvdi-desktops/debian-systemd-base@sha256:"
    )


class TestDestroy:
    @pytest.fixture(autouse=True)
    def _deployed(self, workshop: Workshop) -> None:
        assert cli.main(["apply"]) == 0

    def test_retain_keeps_everything_and_forgets_the_use(self) -> None:
        assert cli.main(["destroy"]) == 0

        assert len(repositories()) == len(ALL)
        assert UsageRecords(boto3.client("s3"), BUCKET).in_use() == set()

    def test_destroy_deletes_what_is_ours_and_unused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        boto3.client("ecr").create_repository(repositoryName="idf-kvdi-desktops/of-the-user")

        assert cli.main(["destroy"]) == 0
        assert cli.main(["destroy"]) == 0

        assert repositories() == {"idf-kvdi-desktops/of-the-user"}
        assert boto3.client("s3").list_buckets()["Buckets"] == []

    def test_what_another_deployment_uses_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        used = "idf-kvdi-desktops/debian-systemd-base"
        UsageRecords(boto3.client("s3"), BUCKET).record("test", "desktops-kvdi", {used})

        assert cli.main(["destroy"]) == 0

        assert repositories() == {used}


@pytest.mark.parametrize("entry", [apply.apply, destroy.destroy])
def test_every_call_is_granted_to_the_module_role(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop, entry: Callable[[], int]
) -> None:
    monkeypatch.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
    replicate(monkeypatch, {})
    if entry is destroy.destroy:
        apply.apply()
    called: set[str] = set()
    session = boto3.Session()
    session.events.register("before-call.*.*", lambda model, **_: called.add(_iam_action(model)))
    monkeypatch.setattr(boto3, "Session", lambda: session)

    assert entry() == 0

    assert called - {"sts:GetCallerIdentity"} <= granted_actions()  # everyone may ask who they are
    assert len(called) > 5


def _iam_action(model: OperationModel) -> str:
    service, name = model.service_model.service_name, model.name
    return f"{service}:{S3_ACTIONS.get(name, name) if service == 's3' else name}"


def granted_actions() -> set[str]:
    template = yaml.load((MODULE / "modulestack.yaml").read_text(), _Template)  # noqa: S506 - a SafeLoader
    statements = template["Resources"]["BuildPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    actions: set[str] = set()
    for statement in statements:
        allowed = statement.get("Action", [])
        actions.update([allowed] if isinstance(allowed, str) else allowed)
    return actions


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short functions: `!If` as its first branch, the others as nothing."""


_Template.add_constructor("!If", lambda loader, node: loader.construct_sequence(node, deep=True)[1])
_Template.add_multi_constructor("!", lambda loader, suffix, node: None)
