"""Repositories of the known IDF module are taken over by exact name, and no others."""

import json
from pathlib import Path

import pytest
from dockerimage_replication import cli
from dockerimage_replication.adopt import named_repositories
from dockerimage_replication.aws import Aws
from dockerimage_replication.progress import Progress
from dockerimage_replication.repositories import Repositories
from dockerimage_replication.repository_settings import RepositorySettings
from dockerimage_replication.shared import ecr
from dockerimage_replication.shared.ownership import Owner
from dockerimage_replication.shared.settings import SeedFarmerSettings
from replication_support import ACCOUNT, BUCKET, ECR_HOST

OWNER = Owner("idf", "dockerimage-replication")
INVENTORY = {
    "ami": {"version": "1.29"},
    "charts": {
        "calico": {
            "helm": {"name": "tigera-operator", "repository": f"oci://{ECR_HOST}/idf-charts/tigera-operator"},
            "values": {
                "tigeraOperator": {"registry": f"{ECR_HOST}/idf-quay.io", "image": "tigera/operator"},
                "list": [{"image": f"{ECR_HOST}/idf-quay.io/calico/node:v3.27"}],
            },
        }
    },
    "additional_images": {"pause": f"{ECR_HOST}/idf-registry.k8s.io/pause@sha256:{'0' * 64}"},
}
NAMED = {
    "idf-charts/tigera-operator",
    "idf-quay.io",
    "idf-quay.io/calico/node",
    "idf-registry.k8s.io/pause",
}


def test_names_are_those_of_this_account_and_region() -> None:
    others = [
        f"{ECR_HOST.replace(ACCOUNT, '999999999999')}/idf-a:1",
        f"{ECR_HOST.replace('us-east-1', 'eu-west-1')}/idf-a:1",
        f"https://{ECR_HOST}/idf-a",
        "quay.io/idf-a",
        None,
        1,
    ]

    assert named_repositories([INVENTORY, others], ECR_HOST) == NAMED


def test_updated_images_names_its_targets() -> None:
    content = [{"src": "quay.io/a:1", "target": f"{ECR_HOST}/idf-quay.io/a:1"}]

    assert named_repositories(content, ECR_HOST) == {"idf-quay.io/a"}


@pytest.fixture
def inventory(aws: Aws, tmp_path: Path) -> str:
    """An account as the known module leaves it, with other repositories that begin alike."""
    for name in (*NAMED - {"idf-quay.io"}, "idf-quay.io/calico/node-windows", "idf-by-hand"):
        aws.ecr.create_repository(repositoryName=name)
    path = tmp_path / "replication_result.json"
    path.write_text(json.dumps(INVENTORY))
    return str(path)


def owned(aws: Aws) -> set[str]:
    return set(ecr.owned_repositories(aws.ecr, OWNER, ""))


def test_exactly_what_the_inventory_names_is_taken_over(
    aws: Aws, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["adopt", "idf", "--inventory", inventory, "--dry-run"]) == 0
    announced = capsys.readouterr().out
    assert owned(aws) == set()

    assert cli.main(["adopt", "idf", "--inventory", inventory, "--yes"]) == 0

    assert capsys.readouterr().out == announced
    assert owned(aws) == NAMED - {"idf-quay.io"}
    assert announced.splitlines() == [
        f"adopt {name} (no deployment has it on record)" for name in sorted(NAMED - {"idf-quay.io"})
    ]


def test_an_inventory_in_the_bucket_does_as_well(aws: Aws, inventory: str) -> None:
    aws.s3.create_bucket(Bucket="theirs")
    aws.s3.put_object(Bucket="theirs", Key="a/b.json", Body=Path(inventory).read_bytes())

    assert cli.main(["adopt", "idf", "--inventory", "s3://theirs/a/b.json", "--yes"]) == 0
    assert owned(aws) == NAMED - {"idf-quay.io"}


@pytest.mark.parametrize(
    "tags",
    [
        Owner("idf-other", OWNER.module).tags(),
        Owner("idf", "dcv-image").tags(),
        [{"Key": "SeedFarmerProject", "Value": "idf"}],
        [{"Key": "AirgapModulesOwner", "Value": OWNER.module}],
    ],
)
def test_what_has_an_owner_is_refused_and_the_others_are_taken_over(
    tags: list[dict[str, str]], aws: Aws, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "idf-registry.k8s.io/pause"
    arn = aws.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"]
    aws.ecr.tag_resource(resourceArn=arn, tags=tags)  # type: ignore[arg-type]

    assert cli.main(["adopt", "idf", "--inventory", inventory, "--yes"]) == 1

    said = capsys.readouterr().out
    assert f"refuse {name}: it has an owner: {tags[0]['Key']}={tags[0]['Value']}" in said
    assert aws.ecr.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    assert owned(aws) == NAMED - {"idf-quay.io", name}


def test_other_tags_stay(aws: Aws, inventory: str) -> None:
    name = "idf-registry.k8s.io/pause"
    arn = aws.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"]
    aws.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "Team", "Value": "a"}])

    cli.main(["adopt", "idf", "--inventory", inventory, "--yes"])

    tags = {tag["Key"]: tag["Value"] for tag in aws.ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert tags["Team"] == "a"
    assert name in owned(aws)


def test_another_projects_inventory_is_refused(
    aws: Aws, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["adopt", "other", "--inventory", inventory, "--yes"]) == 1
    assert "a repository of this project begins with `other-`" in capsys.readouterr().out
    assert owned(aws) == set()


def test_the_next_run_sets_up_what_was_taken_over(aws: Aws, inventory: str) -> None:
    name = "idf-quay.io/calico/node"
    seedfarmer = SeedFarmerSettings(
        project_name="idf", deployment_name="dev", module_name="replication-images"
    )
    run = Repositories(aws, seedfarmer, RepositorySettings("aws"), Progress())
    run.claim({name}, set())

    cli.main(["adopt", "idf", "--inventory", inventory, "--yes"])
    run.claim({name}, set())

    assert aws.ecr.get_lifecycle_policy(repositoryName=name)["repositoryName"] == name


def test_only_then_does_clean_up_consider_it(aws: Aws, inventory: str) -> None:
    aws.s3.create_bucket(Bucket=BUCKET)
    before = ecr.repository_names(aws.ecr)
    cli.main(["delete-repos", "idf", "--yes"])
    assert ecr.repository_names(aws.ecr) == before

    cli.main(["adopt", "idf", "--inventory", inventory, "--yes"])
    cli.main(["delete-repos", "idf", "--yes"])

    assert ecr.repository_names(aws.ecr) == {"idf-quay.io/calico/node-windows", "idf-by-hand"}


def test_json_lists_every_repository(aws: Aws, inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["adopt", "idf", "--inventory", inventory, "--json", "--yes"])
    capsys.readouterr()
    cli.main(["adopt", "idf", "--inventory", inventory, "--json", "--dry-run"])

    printed = json.loads(capsys.readouterr().out)
    assert printed["done"] is False
    assert printed["repositories"][0] == {
        "repository": "idf-charts/tigera-operator",
        "action": "owned",
        "reason": "",
        "used": False,
    }


def test_it_asks_first(aws: Aws, inventory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "")

    assert cli.main(["adopt", "idf", "--inventory", inventory]) == 1
    assert owned(aws) == set()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("absent.json", "cannot be read"),
        ("s3://absent/key", "does not exist"),
        ("s3://bucket", "not an S3 address"),
        ("damaged.json", "is not JSON"),
    ],
)
def test_an_inventory_that_is_none_is_named(
    given: str,
    said: str,
    aws: Aws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("damaged.json").write_text("{")

    assert cli.main(["adopt", "idf", "--inventory", given, "--yes"]) == 1
    assert said in capsys.readouterr().err
