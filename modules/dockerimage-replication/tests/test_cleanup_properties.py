"""Clean-up never deletes what it does not own or what somebody uses, whatever the names and tags are."""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
from account_double import account_in_memory
from dockerimage_replication.aws import Aws
from dockerimage_replication.cleanup import Cleaner, Plan
from dockerimage_replication.images import digests
from dockerimage_replication.shared import ecr
from dockerimage_replication.shared.metadata_bucket import bucket_name, bucket_owner, exists
from dockerimage_replication.shared.ownership import Owner
from dockerimage_replication.shared.usage import UsageRecords
from hypothesis import strategies as st
from moto import mock_aws

MODULE = "replication-images"
OWNER = "dockerimage-replication"
PROJECT = "idf"
EXAMPLES = 2000 if os.environ.get("AIRGAP_LONG") else 300

# Names that begin alike, across projects and folders.
PROJECTS = st.sampled_from(["idf", "idf-other", "idf-other-eu", "id", "idfx"])
SOURCES = st.sampled_from(["app", "other-app", "other/app", "quay.io/app", "quay.io/app/sub", "-", "idf-app"])
NAMES = st.builds(lambda project, source: f"{project}-{source}".replace("--", "-x"), PROJECTS, SOURCES)
DEPLOYMENTS = st.sampled_from(["dev", "prod", "de", "dev2"])
MODULES = st.sampled_from([MODULE, "images-dcv", "other-images"])


def owner_tags(project: str, module: str) -> list[dict[str, str]]:
    return [dict(tag) for tag in Owner(project, module).tags()]  # type: ignore[call-overload]


PARTIAL = st.sampled_from(
    [
        [],
        [{"Key": "SeedFarmerProject", "Value": PROJECT}],
        [{"Key": "AirgapModulesOwner", "Value": OWNER}],
        [{"Key": "seedfarmerproject", "Value": PROJECT}, {"Key": "AirgapModulesOwner", "Value": OWNER}],
        [{"Key": "Team", "Value": "a"}],
    ]
)
OURS = st.just(owner_tags(PROJECT, OWNER))
OWNERS = st.builds(owner_tags, PROJECTS, st.sampled_from([OWNER, "dcv-image", f"{OWNER}-2"]))


@dataclass(frozen=True)
class Repository:
    tags: list[dict[str, str]]
    images: int

    @property
    def is_ours(self) -> bool:
        return Owner(PROJECT, OWNER).owns(self.tags)


REPOSITORIES = st.dictionaries(
    NAMES, st.builds(Repository, OURS | OWNERS | PARTIAL, st.integers(0, 2)), min_size=1, max_size=12
)


@dataclass(frozen=True)
class State:
    """What is in the account, and which clean-up is asked for.

    Attributes:
        used: (deployment, module) -> what it uses; names of repositories that are not there, too.
        released: the deployment that goes, None for none.
    """

    repositories: dict[str, Repository]
    used: dict[tuple[str, str], set[str]]
    command: str
    released: str | None


@st.composite
def states(draw: st.DrawFn) -> State:
    repositories = draw(REPOSITORIES)
    names = st.sampled_from(sorted(repositories)) | NAMES
    used = draw(st.dictionaries(st.tuples(DEPLOYMENTS, MODULES), st.sets(names, max_size=6), max_size=5))
    command = draw(st.sampled_from(["destroy", "delete-repos", "delete-images"]))
    released = draw(DEPLOYMENTS if command == "destroy" else st.none() | DEPLOYMENTS)
    return State(repositories, used, command, released)


def build(aws: Aws, state: State) -> UsageRecords:
    client: Any = aws.ecr
    for name, repository in state.repositories.items():
        client.create_repository(repositoryName=name, tags=repository.tags)
        for number in range(repository.images):
            client.put_image(repositoryName=name, imageManifest=manifest(number), imageTag=f"v{number}")
    bucket = bucket_name(PROJECT, aws.account)
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": bucket_owner(PROJECT).tags()})
    usage = UsageRecords(aws.s3, bucket)
    for (deployment, module), names in state.used.items():
        usage.record(deployment, module, names)
    return usage


def manifest(number: int) -> str:
    layer = {"digest": f"sha256:{hashlib.sha256(bytes([number])).hexdigest()}", "size": 1}
    config = {"digest": f"sha256:{'0' * 64}", "size": 1}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]})


def plan(cleaner: Cleaner, state: State) -> Plan:
    if state.command == "destroy":
        return cleaner.plan_removal((str(state.released), MODULE))
    if state.command == "delete-repos":
        return cleaner.plan_repositories(state.released)
    return cleaner.plan_images(state.released)


def still_used(state: State) -> set[str]:
    """What somebody uses who is not released: `destroy` releases one module, the commands all of them."""
    return {
        name
        for (deployment, module), names in state.used.items()
        if not (deployment == state.released and (state.command != "destroy" or module == MODULE))
        for name in names
    }


def images(aws: Aws) -> dict[str, int]:
    return {name: len(digests(aws.ecr, name)) for name in ecr.repository_names(aws.ecr)}


def check(aws: Aws, state: State) -> None:
    usage = build(aws, state)
    before = images(aws)
    cleaner = Cleaner(aws, PROJECT)
    announced = plan(cleaner, state)
    assert images(aws) == before, "a dry run changes nothing"

    assert Cleaner(aws, PROJECT).execute(plan(Cleaner(aws, PROJECT), state)) == []
    after = images(aws)

    ours = {name for name, repository in state.repositories.items() if repository.is_ours}
    begun_with = f"{PROJECT}-"
    unused = {name for name in ours - still_used(state) if name.startswith(begun_with)}
    gone = before.keys() - after.keys()
    emptied = {name for name in after if after[name] < before[name]}
    assert gone | emptied <= ours - still_used(state), "only what is ours and nobody uses"
    # The dry run says exactly what happens, and nothing that could go is left.
    assert gone == set(announced.repositories) == (set() if state.command == "delete-images" else unused)
    assert emptied == set(announced.emptied)
    if state.command == "delete-images":
        assert emptied == {name for name in unused if before[name]}
        assert all(after[name] == 0 for name in emptied)
    check_records(aws, usage, state, announced)


def check_records(aws: Aws, usage: UsageRecords, state: State, announced: Plan) -> None:
    """Records of others are as they were, and the bucket goes only without any."""
    kept = {entry: names for entry, names in state.used.items() if entry[0] != state.released}
    if not exists(aws.s3, usage.bucket):
        assert announced.delete_bucket
        assert state.command == "destroy"
        assert state.used.keys() <= {(state.released, MODULE)}
        return
    left = usage.all()
    assert {entry: left[entry] for entry in kept} == kept
    changed = {f"{entry[0]}/{entry[1]}" for entry in state.used if left.get(entry) != state.used[entry]}
    assert changed == {step.target for step in announced.steps() if step.action == "release"}


@hypothesis.settings(max_examples=EXAMPLES, deadline=None)
@hypothesis.given(states())
def test_only_what_is_ours_and_unused_goes_and_a_dry_run_says_what(state: State) -> None:
    check(account_in_memory(), state)


@hypothesis.settings(max_examples=EXAMPLES // 20, deadline=None)
@hypothesis.given(states())
def test_the_same_against_moto(connected: Aws, state: State) -> None:
    with mock_aws():
        check(connected, state)


@pytest.fixture(scope="module")
def connected() -> Aws:
    """Clients that are made once, for that takes longer than an example; each has its own account."""
    with pytest.MonkeyPatch.context() as patched, mock_aws():
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return Aws.connect()
