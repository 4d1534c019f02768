"""`apply` and `destroy` against an emulated AWS, a recording engine and a registry on loopback."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.model import OperationModel
from dcv_fakes import ACCOUNT, BASE_DIGEST, REGISTRY_HOST, FakeEngine, FakeRegistry
from dcv_image import apply, cli, destroy
from dcv_image.build import INPUTS_LABEL
from dcv_image.settings import DEFAULT_BASE_IMAGE
from dcv_image.shared.metadata_bucket import bucket_owner
from dcv_image.shared.outputs import read_outputs
from dcv_image.shared.ownership import Owner, Tag
from dcv_image.shared.usage import UsageRecords
from dcv_image.shared_build import base
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from standin.archive import StandIn

MODULE = Path(__file__).resolve().parent.parent
BUCKET = f"idf-dkr-img-rep-md-us-east-1-{ACCOUNT}"
PRIVATE_BASE = f"{REGISTRY_HOST}/idf-public.ecr.aws/amazonlinux/amazonlinux:2023"
PREFIX = "SEEDFARMER_PARAMETER_"


@pytest.fixture
def aws(engine: FakeEngine, environment: pytest.MonkeyPatch, standin: StandIn) -> Iterator[None]:
    """An account, with the stand-in for Amazon DCV in a bucket."""
    for name, value in standin.parameters(lambda path: f"s3://archives/{path.name}").items():
        environment.setenv(f"{PREFIX}{name.replace('-', '_').upper()}", value)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="archives")
        for path in (standin.archive, standin.key):
            s3.put_object(Bucket="archives", Key=path.name, Body=path.read_bytes())
        # Moto applies a bucket policy without its conditions: "deny plain http" would deny everything.
        environment.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
        yield


@pytest.fixture
def repository(aws: None) -> str:
    """The repository that the manifest names, made by the user."""
    return boto3.client("ecr").create_repository(repositoryName="idf-dcv")["repository"]["repositoryUri"]


def replicate(environment: pytest.MonkeyPatch, images: dict[str, str]) -> None:
    """What the replication module leaves behind."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="inventories")
    s3.put_object(Bucket="inventories", Key="a/b.json", Body=json.dumps({"images": images}).encode())
    environment.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "inventories/a/b.json")


def bucket_names() -> list[str]:
    return sorted(item["Name"] for item in boto3.client("s3").list_buckets()["Buckets"])


def repositories() -> set[str]:
    return {item["repositoryName"] for item in boto3.client("ecr").describe_repositories()["repositories"]}


def test_the_outputs_name_the_image_by_tag_and_by_digest(
    repository: str, engine: FakeEngine, registry: FakeRegistry
) -> None:
    assert cli.main(["apply"]) == 0

    outputs = read_outputs()
    tag, digest = outputs["DCVImageUri"], outputs["DCVImageDigestUri"]
    assert tag == f"{repository}:dcv-latest"
    assert digest.startswith(f"{repository}@sha256:")
    assert set(registry.manifests) == {"idf-dcv:dcv-latest"}
    assert engine.call("push")["argv"][-1] == f"{registry.host}/idf-dcv:dcv-latest"


def test_the_base_is_the_private_copy_by_digest(
    environment: pytest.MonkeyPatch, repository: str, engine: FakeEngine, registry: FakeRegistry
) -> None:
    replicate(environment, {DEFAULT_BASE_IMAGE: PRIVATE_BASE})

    assert cli.main(["apply"]) == 0

    name = f"{registry.host}/idf-public.ecr.aws/amazonlinux/amazonlinux"
    assert engine.call("pull")["argv"][-1] == f"{name}:2023"
    assert f"BASE_IMAGE={name}@{BASE_DIGEST}" in engine.call("build")["argv"]


def test_an_image_that_was_not_replicated_keeps_its_public_name(
    environment: pytest.MonkeyPatch, repository: str, engine: FakeEngine
) -> None:
    replicate(environment, {"docker.io/library/ubuntu:22.04": "private/ubuntu:22.04"})

    assert cli.main(["apply"]) == 0

    assert engine.call("pull")["argv"][-1] == DEFAULT_BASE_IMAGE


def test_a_missing_inventory_is_one_message(
    environment: pytest.MonkeyPatch, repository: str, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "nobody/nothing.json")

    assert cli.main(["apply"]) == 1

    assert "s3://nobody/nothing.json does not exist" in capsys.readouterr().err
    assert engine.calls == []


def test_an_unchanged_image_is_neither_built_nor_pushed(
    repository: str, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["apply"]) == 0
    first = read_outputs()
    engine.forget()

    assert cli.main(["apply"]) == 0

    assert read_outputs() == first
    assert not {"build", "push"} & set(engine.commands)
    assert "unchanged: idf-dcv:dcv-latest" in capsys.readouterr().out


def test_a_new_base_digest_builds_again(repository: str, engine: FakeEngine, registry: FakeRegistry) -> None:
    assert cli.main(["apply"]) == 0
    engine.forget()
    engine.behave(base_digest=f"sha256:{'c' * 64}")

    assert cli.main(["apply"]) == 0

    assert {"build", "push"} <= set(engine.commands)


def test_an_image_of_someone_else_under_the_tag_is_replaced(
    repository: str, engine: FakeEngine, registry: FakeRegistry
) -> None:
    registry.put("idf-dcv:dcv-latest", {INPUTS_LABEL: "something else"})

    assert cli.main(["apply"]) == 0

    assert "push" in engine.commands


def test_a_failed_build_or_push_leaves_no_image_in_the_engine(
    repository: str, engine: FakeEngine, registry: FakeRegistry
) -> None:
    engine.behave(fail={"push": "no"})

    assert cli.main(["apply"]) == 1

    built = engine.call("build")["argv"][2]
    removed = [call["argv"][-1] for call in engine.calls if call["argv"][:2] == ["image", "rm"]]
    assert removed == [built, f"{registry.host}/idf-dcv:dcv-latest"]


def bad_inputs(standin: StandIn) -> dict[str, tuple[str, str, str]]:
    """Parameter and value that are wrong: which parameter the message names, and what else it says."""
    return {
        "another checksum": ("DCV_ARCHIVE_SHA256", "0" * 64, f"has the SHA-256 {standin.sha256}, not 0000"),
        "no archive": ("DCV_ARCHIVE", "s3://archives/nothing.tgz", "cannot be read"),
        "no such file": ("DCV_ARCHIVE", "nothing.tgz", "there is no such file in the module"),
        "another key": ("DCV_SIGNING_KEY_FINGERPRINT", "A" * 40, f"holds the key {standin.fingerprint}"),
        "no key": ("DCV_SIGNING_KEY", f"s3://archives/{standin.archive.name}", "no OpenPGP public key"),
        "no mirror": ("OS_PACKAGES_MIRROR", "s3://archives/nothing.list", "cannot be read"),
        "nobody there": ("AWS_CLI_ARCHIVE", "http://127.0.0.1:9/x.zip", "Connection refused"),
    }


@pytest.mark.parametrize("case", [*bad_inputs(StandIn(Path(), "", Path(), ""))])
def test_what_cannot_be_had_or_verified_names_its_parameter_and_publishes_nothing(
    environment: pytest.MonkeyPatch,
    repository: str,
    engine: FakeEngine,
    registry: FakeRegistry,
    standin: StandIn,
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    parameter, value, said = bad_inputs(standin)[case]
    environment.setenv(f"{PREFIX}AWS_CLI_ARCHIVE_SHA256", "0" * 64)
    environment.setenv(f"{PREFIX}{parameter}", value)

    assert cli.main(["apply"]) == 1

    message = capsys.readouterr().err
    assert f"manifest parameter `{parameter.lower().replace('_', '-')}`" in message
    assert said in message
    assert "build" not in engine.commands
    assert registry.manifests == {}
    assert read_outputs() == {}


@pytest.mark.parametrize("release", ["ID=plan9\nVERSION_ID=4\nPRETTY_NAME='Plan 9'\n", "", "ID=debian\n"])
def test_a_base_of_an_unknown_system_is_refused_before_anything_is_fetched(
    repository: str, engine: FakeEngine, capsys: pytest.CaptureFixture[str], release: str
) -> None:
    engine.behave(release=release)

    assert cli.main(["apply"]) == 1

    message = capsys.readouterr().err
    assert "manifest parameter `base-image`: the operating system of " in message
    assert "it must be Amazon Linux 2023 or 2, Ubuntu 22.04 or 24.04, or Debian 12" in message
    assert "build" not in engine.commands


def test_the_archive_is_no_input_when_the_image_is_there(
    environment: pytest.MonkeyPatch, repository: str, engine: FakeEngine
) -> None:
    assert cli.main(["apply"]) == 0
    environment.setenv(f"{PREFIX}DCV_ARCHIVE", "s3://archives/moved.tgz")
    engine.forget()

    assert cli.main(["apply"]) == 0

    assert "build" not in engine.commands


@pytest.mark.parametrize(
    ("command", "parameter"),
    [
        ("pull", "base-image"),
        ("build", "base-image"),
        ("push", "dcv-ecr-repository-name"),
        ("login", "registry-endpoints"),
    ],
)
def test_a_failure_names_its_parameter_and_publishes_nothing(
    repository: str,
    engine: FakeEngine,
    registry: FakeRegistry,
    capsys: pytest.CaptureFixture[str],
    command: str,
    parameter: str,
) -> None:
    engine.behave(fail={command: "the engine's own words"})

    assert cli.main(["apply"]) == 1

    captured = capsys.readouterr()
    assert f"manifest parameter `{parameter}`" in captured.err
    assert "the engine's own words" in captured.out + captured.err
    assert registry.manifests == {}
    assert read_outputs() == {}


def test_a_missing_base_names_the_reference_that_was_tried(
    repository: str, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.behave(fail={"pull": "manifest unknown"})

    assert cli.main(["apply"]) == 1

    assert DEFAULT_BASE_IMAGE in capsys.readouterr().err
    assert "build" not in engine.commands


def test_a_missing_repository_names_the_parameter_and_touches_nothing(
    aws: None, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["apply"]) == 1

    message = capsys.readouterr().err
    assert "manifest parameter `dcv-ecr-repository-name`" in message
    assert "create-repository" in message
    assert engine.calls == []
    assert bucket_names() == ["archives"]


def test_use_is_recorded_before_the_engine_runs(
    environment: pytest.MonkeyPatch, repository: str, engine: FakeEngine
) -> None:
    replicate(environment, {DEFAULT_BASE_IMAGE: PRIVATE_BASE})
    engine.behave(fail={"pull": "no"})

    assert cli.main(["apply"]) == 1

    used = UsageRecords(boto3.client("s3"), BUCKET).all()
    assert used["prod", "desktops-dcv"] == {"idf-dcv", "idf-public.ecr.aws/amazonlinux/amazonlinux"}


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        (PRIVATE_BASE, "idf-public.ecr.aws/amazonlinux/amazonlinux"),
        (f"{REGISTRY_HOST}/a/b@{BASE_DIGEST}", "a/b"),
        (f"{REGISTRY_HOST}/a/b:1@{BASE_DIGEST}", "a/b"),
        (DEFAULT_BASE_IMAGE, None),
        ("ubuntu:22.04", None),
    ],
)
def test_only_a_base_in_our_registry_is_recorded(reference: str, repository: str | None) -> None:
    assert base.repository_in(REGISTRY_HOST, reference) == repository


class TestDestroy:
    @pytest.fixture(autouse=True)
    def _deployed(self, environment: pytest.MonkeyPatch, aws: None) -> None:
        environment.setenv(f"{PREFIX}CREATE_REPOSITORY", "true")
        assert cli.main(["apply"]) == 0

    def test_retain_keeps_everything_and_forgets_the_use(self) -> None:
        assert cli.main(["destroy"]) == 0

        assert repositories() == {"idf-dcv"}
        assert UsageRecords(boto3.client("s3"), BUCKET).in_use() == set()

    def test_destroy_deletes_what_is_ours_and_unused(
        self, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")

        assert cli.main(["destroy"]) == 0
        assert cli.main(["destroy"]) == 0

        assert repositories() == set()
        assert bucket_names() == ["archives"]
        assert "deleted: repository idf-dcv" in capsys.readouterr().out

    def test_what_another_deployment_uses_is_kept(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        UsageRecords(boto3.client("s3"), BUCKET).record("test", "desktops-dcv", {"idf-dcv"})

        assert cli.main(["destroy"]) == 0

        assert repositories() == {"idf-dcv"}

    def test_what_is_not_ours_is_kept(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        client = boto3.client("ecr")
        client.create_repository(repositoryName="idf-dcv-of-the-user")
        for name, owner in {
            "idf-other-dcv": Owner("idf-other", "dcv-image"),
            "idf-replicated": Owner("idf", "dockerimage-replication"),
        }.items():
            client.create_repository(repositoryName=name, tags=owner.tags())

        assert cli.main(["destroy"]) == 0

        assert repositories() == {"idf-dcv-of-the-user", "idf-other-dcv", "idf-replicated"}

    @pytest.mark.parametrize("tags", [bucket_owner("idf-other").tags(), None])
    def test_a_bucket_that_we_did_not_make_is_kept(
        self, environment: pytest.MonkeyPatch, tags: list[Tag] | None
    ) -> None:
        environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        s3 = boto3.client("s3")
        s3.delete_bucket_tagging(Bucket=BUCKET)
        if tags:
            s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})

        assert cli.main(["destroy"]) == 0

        assert bucket_names() == ["archives", BUCKET]

    def test_a_bucket_with_an_inventory_is_kept(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        s3 = boto3.client("s3")
        s3.put_object(Bucket=BUCKET, Key="prod-replication-metadata.json", Body=b"{}")

        assert cli.main(["destroy"]) == 0

        assert bucket_names() == ["archives", BUCKET]

    def test_the_bucket_keeps_the_owner_that_all_modules_give_it(self) -> None:
        tags = boto3.client("s3").get_bucket_tagging(Bucket=BUCKET)["TagSet"]

        assert bucket_owner("idf").owns(tags)


def test_destroy_without_a_deploy_succeeds(aws: None, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")

    assert cli.main(["destroy"]) == 0


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as plain values."""


_Template.add_multi_constructor("!", lambda loader, tag, node: _plain(loader, tag, node))


def _plain(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        values = loader.construct_sequence(node, deep=True)
        return values[1] if tag == "If" else values
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


def granted_actions() -> set[str]:
    template = yaml.load((MODULE / "modulestack.yaml").read_text(), _Template)  # noqa: S506 - a SafeLoader
    statements = template["Resources"]["BuildPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    actions: set[str] = set()
    for statement in statements:
        action = statement["Action"]
        actions.update([action] if isinstance(action, str) else action)
    return actions


# IAM's name for an S3 operation that has another one (Amazon S3 user guide, Required permissions).
S3_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


@pytest.mark.parametrize("entry", [apply.apply, destroy.destroy])
def test_every_call_is_granted_to_the_module_role(
    environment: pytest.MonkeyPatch, aws: None, entry: Callable[[], int]
) -> None:
    environment.setenv(f"{PREFIX}CREATE_REPOSITORY", "true")
    environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
    replicate(environment, {})
    if entry is destroy.destroy:
        apply.apply()
    called: set[str] = set()
    session = boto3.Session()
    session.events.register("before-call.*.*", lambda model, **_: called.add(_iam_action(model)))
    environment.setattr(boto3, "Session", lambda: session)

    assert entry() == 0

    assert called - {"sts:GetCallerIdentity"} <= granted_actions()  # everyone may ask who they are
    assert len(called) > 5


def _iam_action(model: OperationModel) -> str:
    service, name = model.service_model.service_name, model.name
    return f"{service}:{S3_ACTIONS.get(name, name) if service == 's3' else name}"
