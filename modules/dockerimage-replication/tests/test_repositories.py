"""Repositories: made and set up as the parameters say, at no cost when nothing has changed."""

import json
from collections import Counter
from typing import Any

import botocore.client
import pytest
from dockerimage_replication.aws import Aws
from dockerimage_replication.immutable_tags import explained
from dockerimage_replication.oci.errors import RegistryError, error_from_answer
from dockerimage_replication.progress import Progress
from dockerimage_replication.repositories import Repositories
from dockerimage_replication.repository_settings import RepositorySettings
from dockerimage_replication.repository_state import RepositoryState
from dockerimage_replication.settings import Parameters
from dockerimage_replication.shared import ecr
from dockerimage_replication.shared.errors import ParameterError
from dockerimage_replication.shared.ownership import Owner
from dockerimage_replication.shared.settings import SeedFarmerSettings, load
from replication_support import BUCKET, World

MODULE = "replication-images"
OWNER = Owner("idf", "dockerimage-replication")
KEY = "arn:aws:kms:us-east-1:123456789012:key/0123-abcd"
PLAIN = RepositorySettings("aws")
APP = "idf-quay.io/app"


def claim(
    aws: Aws,
    *names: str,
    settings: RepositorySettings = PLAIN,
    by_digest: set[str] | None = None,
    deployment: str = "dev",
) -> None:
    seedfarmer = SeedFarmerSettings(project_name="idf", deployment_name=deployment, module_name=MODULE)
    repositories = Repositories(aws, seedfarmer, settings, Progress())
    run = repositories.claim(set(names), by_digest or set()).run
    repositories.settle(set(names), run)


def described(aws: Aws, name: str = APP) -> dict[str, Any]:
    return dict(aws.ecr.describe_repositories(repositoryNames=[name])["repositories"][0])


def lifecycle(aws: Aws, name: str = APP) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(aws.ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])
    except aws.ecr.exceptions.LifecyclePolicyNotFoundException:
        return None


def policy(aws: Aws, name: str = APP) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(aws.ecr.get_repository_policy(repositoryName=name)["policyText"])
    except aws.ecr.exceptions.RepositoryPolicyNotFoundException:
        return None


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    made: Counter[str] = Counter()
    original = vars(botocore.client.BaseClient)["_make_api_call"]

    def record(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - botocore's own
        made[operation] += 1
        return original(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", record)
    return made


def test_a_new_one_has_our_tags_a_scan_on_push_and_a_rule_for_untagged_images(aws: Aws) -> None:
    claim(aws, APP)

    made = described(aws)
    assert OWNER.owns(aws.ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"])
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}
    assert made["imageTagMutability"] == "MUTABLE"
    assert policy(aws) is None
    (rule,) = lifecycle(aws)["rules"]
    assert rule["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 30,
    }


def test_every_parameter_reaches_a_new_one(aws: Aws) -> None:
    settings = RepositorySettings(
        "aws-cn",
        immutable=True,
        untagged_image_days=7,
        kms_key=KEY,
        pull_accounts=("111111111111", "222222222222"),
        pull_organization="o-abcdefghij",
    )
    claim(aws, APP, settings=settings)

    made = described(aws)
    assert made["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": KEY}
    assert made["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert made["imageTagMutabilityExclusionFilters"] == [{"filterType": "WILDCARD", "filter": "sha256-*"}]
    assert lifecycle(aws)["rules"][0]["selection"]["countNumber"] == 7
    accounts, organization = policy(aws)["Statement"]
    assert accounts["Principal"] == {
        "AWS": ["arn:aws-cn:iam::111111111111:root", "arn:aws-cn:iam::222222222222:root"]
    }
    assert organization["Principal"] == "*"
    assert organization["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
    for statement in (accounts, organization):
        assert not any(word in json.dumps(statement["Action"]) for word in ("Put", "Upload", "Delete", "*"))


def test_one_of_ours_is_brought_to_changed_parameters_and_back(aws: Aws) -> None:
    changed = RepositorySettings(
        "aws", immutable=True, untagged_image_days=0, pull_accounts=("111111111111",)
    )
    claim(aws, APP)

    claim(aws, APP, settings=changed)
    assert described(aws)["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert lifecycle(aws) is None
    assert len(policy(aws)["Statement"]) == 1

    claim(aws, APP)
    assert described(aws)["imageTagMutability"] == "MUTABLE"
    assert lifecycle(aws) is not None
    assert policy(aws) is None


def test_one_of_a_version_before_is_brought_up_to_date(aws: Aws) -> None:
    aws.ecr.create_repository(repositoryName=APP, tags=OWNER.tags())

    claim(aws, APP)

    assert described(aws)["imageScanningConfiguration"] == {"scanOnPush": True}
    assert lifecycle(aws) is not None


def test_statements_that_others_put_into_a_policy_stay(aws: Aws) -> None:
    theirs = {
        "Sid": "TheirBuild",
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam::333333333333:root"]},
        "Action": ["ecr:BatchGetImage"],
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    ecr.ensure_repository(aws.ecr, APP, OWNER)
    aws.ecr.set_repository_policy(repositoryName=APP, policyText=text)

    claim(aws, APP, settings=RepositorySettings("aws", pull_accounts=("111111111111",)))
    assert [entry["Sid"] for entry in policy(aws)["Statement"]] == ["TheirBuild", "AirgapModulesPullAccounts"]

    claim(aws, APP)
    assert policy(aws)["Statement"] == [theirs]


@pytest.mark.parametrize(
    "tags", [[], Owner("idf-other", OWNER.module).tags(), Owner("idf", "dcv-image").tags()]
)
def test_one_of_others_is_used_and_not_changed(tags: Any, aws: Aws, calls: Counter[str]) -> None:  # noqa: ANN401
    aws.ecr.create_repository(repositoryName=APP, tags=tags)
    before = described(aws)

    for settings in (PLAIN, RepositorySettings("aws", immutable=True, pull_accounts=("111111111111",))):
        claim(aws, APP, settings=settings)

    assert described(aws) == before
    assert (lifecycle(aws), policy(aws)) == (None, None)


def test_nothing_to_do_costs_no_call_per_repository(aws: Aws, calls: Counter[str]) -> None:
    ours = [f"idf-{number}" for number in range(20)]
    aws.ecr.create_repository(repositoryName="idf-theirs")
    claim(aws, *ours, "idf-theirs")
    calls.clear()

    claim(aws, *ours, "idf-theirs")

    of_ecr = {name: count for name, count in calls.items() if name in dir_of(aws)}
    assert of_ecr == {"DescribeRepositories": 1}
    assert all(count <= 4 for count in calls.values()), calls


def dir_of(aws: Aws) -> set[str]:
    return set(aws.ecr.meta.service_model.operation_names)


def test_only_what_is_new_or_changed_costs_calls(aws: Aws, calls: Counter[str]) -> None:
    claim(aws, "idf-a", "idf-b")
    aws.ecr.delete_repository(repositoryName="idf-b")
    ecr.ensure_repository(aws.ecr, "idf-b", OWNER)  # by that name, but another one
    aws.ecr.put_image_tag_mutability(repositoryName="idf-a", imageTagMutability="IMMUTABLE")
    calls.clear()

    claim(aws, "idf-a", "idf-b", "idf-c")

    assert lifecycle(aws, "idf-b") == lifecycle(aws, "idf-c") == lifecycle(aws, "idf-a")
    assert described(aws, "idf-a")["imageTagMutability"] == "MUTABLE"
    assert calls["CreateRepository"] == 1
    assert calls["ListTagsForResource"] == 2


def test_two_deployments_with_other_parameters_do_not_mistake_each_others_for_their_own(aws: Aws) -> None:
    claim(aws, APP)
    claim(aws, APP, settings=RepositorySettings("aws", untagged_image_days=7), deployment="prod")

    claim(aws, APP)

    assert lifecycle(aws)["rules"][0]["selection"]["countNumber"] == 30


class TestByDigest:
    """An image that is replicated by digest may have no tag: nothing may expire around it."""

    def test_there_is_no_rule(self, aws: Aws) -> None:
        claim(aws, APP, by_digest={APP})

        assert lifecycle(aws) is None

    def test_a_rule_that_is_there_goes(self, aws: Aws) -> None:
        claim(aws, APP)
        claim(aws, APP, by_digest={APP})

        assert lifecycle(aws) is None

    def test_a_deployment_that_pulls_by_tag_does_not_bring_it_back(self, aws: Aws) -> None:
        claim(aws, APP, by_digest={APP})
        claim(aws, APP, deployment="prod")
        claim(aws, APP, deployment="prod", settings=RepositorySettings("aws", untagged_image_days=7))

        assert lifecycle(aws) is None


def test_an_image_by_digest_in_the_data_files_keeps_its_repository_from_expiring(world: World) -> None:
    world.default["additional_images"] = {"agent": f"internet.local/team/agent@{world.agent}"}

    world.apply()

    assert lifecycle(world.aws, "idf-internet.local/team/agent") is None
    assert lifecycle(world.aws, "idf-internet.local/team/app") is not None


def test_another_key_than_that_of_existing_ones_is_said_plainly(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    claim(aws, APP)
    capsys.readouterr()

    claim(aws, APP, "idf-new", settings=RepositorySettings("aws", kms_key=KEY))

    said = capsys.readouterr().out
    assert (
        f"not encrypted with the key of `repository-kms-key`, because they were made before: {APP};" in said
    )
    assert described(aws, "idf-new")["encryptionConfiguration"]["kmsKey"] == KEY
    assert described(aws)["encryptionConfiguration"] == {"encryptionType": "AES256"}


def test_one_that_another_run_makes_at_the_same_time_is_fine(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ecr.create_repository

    def after_another(client: Any, *arguments: Any) -> Any:  # noqa: ANN401 - handed on
        monkeypatch.setattr(ecr, "create_repository", create)
        claim(aws, APP, deployment="prod")
        return create(client, *arguments)

    monkeypatch.setattr(ecr, "create_repository", after_another)
    claim(aws, APP)

    assert lifecycle(aws) is not None
    assert RepositoryState(aws.s3, BUCKET).entries()[APP].owned


class TestParameters:
    """What a manifest can say."""

    @pytest.fixture(autouse=True)
    def deployment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("PROJECT_NAME", "DEPLOYMENT_NAME", "MODULE_NAME"):
            monkeypatch.setenv(f"SEEDFARMER_{name}", "x")
        monkeypatch.setenv("SEEDFARMER_PARAMETER_EKS_VERSION", "1.33")

    def test_they_reach_the_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "IMAGE_TAG_MUTABILITY": "IMMUTABLE",
            "UNTAGGED_IMAGE_DAYS": "0",
            "REPOSITORY_KMS_KEY": KEY,
            "PULL_ACCOUNT_IDS": '["222222222222", "111111111111", "222222222222"]',
            "PULL_ORGANIZATION_ID": "o-abcdefghij",
        }.items():
            monkeypatch.setenv(f"SEEDFARMER_PARAMETER_{name}", value)

        assert load(Parameters)[1].repository_settings("aws") == RepositorySettings(
            "aws", True, 0, KEY, ("111111111111", "222222222222"), "o-abcdefghij"
        )

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("image-tag-mutability", "immutable", "`image-tag-mutability`"),
            ("untagged-image-days", "-1", "`untagged-image-days`"),
            ("repository-kms-key", "alias/mine", "`repository-kms-key`"),
            ("pull-account-ids", "123456789012,1", "is not JSON"),
            ("pull-account-ids", "123456789012", "must be a JSON list"),
            ("pull-account-ids", "[12345678901]", "12 digits in quotes"),
            ("pull-account-ids", '["1234"]', "has '1234'"),
            ("pull-organization-id", "abc", "`pull-organization-id`"),
        ],
    )
    def test_wrong_ones_are_named(
        self, name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"SEEDFARMER_PARAMETER_{name.upper().replace('-', '_')}", value)

        with pytest.raises(ParameterError) as error:
            load(Parameters)

        assert f"manifest parameter `{name}`" in str(error.value)
        assert said in str(error.value)


def answer(status: int, code: str, message: str) -> RegistryError:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return error_from_answer("ecr/idf-app:1", status, body, retry_after=None, secrets=[])


def test_a_tag_that_cannot_move_is_explained_with_the_remedy() -> None:
    error = answer(
        400,
        "TAG_INVALID",
        "The image tag '1' already exists and cannot be overwritten because the tag is immutable.",
    )

    assert str(error) in explained(error)
    assert "ecr/idf-app:1" in explained(error)
    assert "set the parameter `image-tag-mutability` to MUTABLE" in explained(error)


@pytest.mark.parametrize("error", [answer(400, "TAG_INVALID", "bad tag"), answer(404, "X", "immutable")])
def test_other_errors_say_what_they_say(error: RegistryError) -> None:
    assert explained(error) == str(error)
