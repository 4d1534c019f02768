"""`apply` and `destroy` against an emulated AWS and a real registry; the engine is a stand-in here."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from granted import granted_actions, iam_action
from image_builder import cli
from image_builder.release.apply import apply
from image_builder.release.destroy import destroy
from image_builder.release.owner import images_owner
from image_builder.shared.outputs import read_outputs
from image_builder.shared.settings import SeedFarmerSettings
from image_builder.shared.usage import UsageRecords

from .support import ACCOUNT, IMAGE_DIGEST, PREFIX, REGISTRY, Workshop

MODULE = Path(__file__).resolve().parents[2]
BUCKET = f"idf-dkr-img-rep-md-us-east-1-{ACCOUNT}"
PUBLIC_BASE = "docker.io/library/debian:12-slim"
PRIVATE_BASE = f"{REGISTRY}/idf-docker.io/library/debian:12-slim"
OWN = {"idf-image-builder", "idf-image-builder/dcrx-kv"}


def replicate(monkeypatch: pytest.MonkeyPatch, images: dict[str, str]) -> None:
    """What the replication module leaves behind."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="inventories")
    s3.put_object(Bucket="inventories", Key="a/b.json", Body=json.dumps({"images": images}).encode())
    monkeypatch.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "inventories/a/b.json")


def repositories() -> set[str]:
    return {item["repositoryName"] for item in boto3.client("ecr").describe_repositories()["repositories"]}


def service_environment() -> dict[str, str]:
    found: dict[str, str] = json.loads(read_outputs()["ImageBuilderEnvironment"])
    return found


def test_the_outputs_name_image_and_chart(workshop: Workshop) -> None:
    assert cli.main(["apply"]) == 0

    outputs = read_outputs()
    uri = f"{REGISTRY}/idf-image-builder"
    assert outputs["ImageBuilderImageUri"] == f"{uri}:latest"
    assert outputs["ImageBuilderImageDigestUri"] == f"{uri}@{IMAGE_DIGEST}"
    assert outputs["ImageBuilderChart"].startswith(f"oci://{uri}/dcrx-kv@sha256:")
    assert outputs["ImageBuilderEndpoint"].startswith("http://dcrx-kv.dcrx-kv.svc")


def test_each_repository_is_made_with_our_tags(workshop: Workshop) -> None:
    assert cli.main(["apply"]) == 0

    client = boto3.client("ecr")
    assert repositories() == OWN
    for item in client.describe_repositories()["repositories"]:
        tags = client.list_tags_for_resource(resourceArn=item["repositoryArn"])["tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {
            "SeedFarmerProject": "idf",
            "AirgapModulesOwner": "image-builder",
        }


def test_the_service_gets_its_named_bases_and_its_registry(
    environment: pytest.MonkeyPatch, workshop: Workshop
) -> None:
    replicate(environment, {})
    environment.setenv(f"{PREFIX}DCV_IMAGE_URI", f"{REGISTRY}/idf-dcv:dcv-latest")
    desktops = {"debian-systemd-xfce4": f"{REGISTRY}/idf-kvdi-desktops/debian-systemd-xfce4:latest"}
    environment.setenv(f"{PREFIX}DESKTOP_IMAGE_URIS", json.dumps(desktops))

    assert cli.main(["apply"]) == 0

    variables = service_environment()
    assert json.loads(variables["DCRX_KV_BASES"]) == {
        "dcv": f"{REGISTRY}/idf-dcv:dcv-latest",
        "desktop-debian-systemd-xfce4": desktops["debian-systemd-xfce4"],
    }
    assert variables["DOCKER_REGISTRY_URI"] == f"https://{REGISTRY}/idf-prod-images"
    assert variables["DCRX_KV_INVENTORY"] == "s3://inventories/a/b.json"
    assert json.loads(variables["DCRX_KV_ECR_TAGS"])["AirgapModulesOwner"] == (
        "image-builder/prod/builders-images"
    )


def test_the_image_is_built_on_the_private_copy_of_its_base(
    environment: pytest.MonkeyPatch, workshop: Workshop, registry: str
) -> None:
    replicate(environment, {PUBLIC_BASE: PRIVATE_BASE})

    assert cli.main(["apply"]) == 0

    assert workshop.pulled == [PRIVATE_BASE.replace(REGISTRY, registry)]
    assert workshop.logins == [registry]


def test_mirrors_come_into_the_build_and_into_no_layer(
    environment: pytest.MonkeyPatch, workshop: Workshop, tmp_path: Path
) -> None:
    environment.setenv(f"{PREFIX}OS_PACKAGES_MIRROR", "https://mirror.example.com/")
    environment.setenv("HOME", str(tmp_path))
    pip = tmp_path / ".config" / "pip" / "pip.conf"
    pip.parent.mkdir(parents=True)
    pip.write_text("[global]\nindex-url = https://index.example.com\n")

    assert cli.main(["apply"]) == 0

    ((recipe, _target),) = workshop.published
    assert set(recipe.secrets) == {"os-packages-mirror", "pip-conf"}
    assert recipe.secrets["pip-conf"] == pip
    assert recipe.arguments == {}


def test_only_what_the_dockerfile_copies_counts_as_input(workshop: Workshop) -> None:
    assert cli.main(["apply"]) == 0

    ((recipe, _target),) = workshop.published
    tops = {name.partition("/")[0] for name in recipe.content}
    assert tops <= {"image", "image_builder"}


def test_use_is_recorded_before_anything_is_made(environment: pytest.MonkeyPatch, workshop: Workshop) -> None:
    replicate(environment, {PUBLIC_BASE: PRIVATE_BASE})
    environment.setenv(f"{PREFIX}DCV_IMAGE_URI", f"{REGISTRY}/idf-dcv:dcv-latest")
    endpoint = json.loads(os.environ[f"{PREFIX}REGISTRY_ENDPOINTS"])[REGISTRY].removeprefix("http://")
    workshop.fails = {PRIVATE_BASE.replace(REGISTRY, endpoint)}

    assert cli.main(["apply"]) == 1

    used = UsageRecords(boto3.client("s3"), BUCKET).all()["prod", "builders-images"]
    assert used == OWN | {"idf-docker.io/library/debian", "idf-dcv"}
    assert read_outputs() == {}


def test_outputs_that_cannot_be_handed_over_are_refused_before_anything_is_made(
    environment: pytest.MonkeyPatch, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    desktops = {f"d{number}": f"{REGISTRY}/idf-kvdi-desktops/d{number}:latest" for number in range(100)}
    environment.setenv(f"{PREFIX}DESKTOP_IMAGE_URIS", json.dumps(desktops))

    assert cli.main(["apply"]) == 1

    assert "`desktop-image-uris`: with 100 images" in capsys.readouterr().err
    assert repositories() == set()


def test_a_chart_that_the_registry_refuses_is_one_message(
    environment: pytest.MonkeyPatch, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv(f"{PREFIX}REGISTRY_ENDPOINTS", json.dumps({REGISTRY: "http://127.0.0.1:9"}))

    assert cli.main(["apply"]) == 1

    said = capsys.readouterr().err
    assert "`ecr-repository-name`: the chart idf-image-builder/dcrx-kv:1.2.3 cannot be pushed" in said


class TestDestroy:
    @pytest.fixture(autouse=True)
    def _deployed(self, workshop: Workshop) -> None:
        assert cli.main(["apply"]) == 0
        client = boto3.client("ecr")
        for deployment in ("prod", "test"):
            seedfarmer = SeedFarmerSettings(deployment_name=deployment)
            name = f"idf-{deployment}-images/app"
            client.create_repository(repositoryName=name, tags=images_owner(seedfarmer).tags())

    def test_retain_keeps_everything_and_forgets_the_use(self) -> None:
        assert cli.main(["destroy"]) == 0

        assert repositories() == OWN | {"idf-prod-images/app", "idf-test-images/app"}
        assert UsageRecords(boto3.client("s3"), BUCKET).in_use() == set()

    def test_destroy_deletes_what_is_ours_with_the_built_images_of_this_deployment_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        boto3.client("ecr").create_repository(repositoryName="idf-prod-images/of-the-user")

        assert cli.main(["destroy"]) == 0
        assert cli.main(["destroy"]) == 0

        assert repositories() == {"idf-test-images/app", "idf-prod-images/of-the-user"}
        assert boto3.client("s3").list_buckets()["Buckets"] == []

    def test_what_another_deployment_uses_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
        UsageRecords(boto3.client("s3"), BUCKET).record("test", "builders-images", OWN)

        assert cli.main(["destroy"]) == 0

        assert repositories() == OWN | {"idf-test-images/app"}


def test_destroy_without_a_deploy_succeeds(workshop: Workshop) -> None:
    assert cli.main(["destroy"]) == 0


@pytest.mark.parametrize("entry", [apply, destroy])
def test_every_call_is_granted_to_the_module_role(
    environment: pytest.MonkeyPatch, workshop: Workshop, entry: Callable[[], int]
) -> None:
    environment.setenv(f"{PREFIX}RETENTION_TYPE", "DESTROY")
    replicate(environment, {})
    if entry is destroy:
        apply()
    called: set[str] = set()
    session = boto3.Session()
    session.events.register("before-call.*.*", lambda model, **_: called.add(iam_action(model)))
    environment.setattr(boto3, "Session", lambda: session)

    assert entry() == 0

    assert called - {"sts:GetCallerIdentity"} <= granted_actions()  # everyone may ask who they are
    assert len(called) > 5
