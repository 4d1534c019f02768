"""A clean-up and a run at once: each step of one between any two calls of the other."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cleanup_steps import Steps
from dockerimage_replication.aws import Aws
from dockerimage_replication.cleanup import Cleaner
from dockerimage_replication.progress import Progress
from dockerimage_replication.repositories import Repositories
from dockerimage_replication.repository_settings import RepositorySettings
from dockerimage_replication.shared import clean_up, ecr
from dockerimage_replication.shared.errors import UserError
from dockerimage_replication.shared.metadata_bucket import ensure_bucket, exists
from dockerimage_replication.shared.ownership import Owner
from dockerimage_replication.shared.settings import SeedFarmerSettings
from dockerimage_replication.shared.usage import UsageRecords
from replication_support import BUCKET

MODULE = "replication-images"
OWNER = Owner("idf", "dockerimage-replication")
SHARED = "idf-shared"


def run_of(aws: Aws, deployment: str = "prod") -> Repositories:
    seedfarmer = SeedFarmerSettings(project_name="idf", deployment_name=deployment, module_name=MODULE)
    return Repositories(aws, seedfarmer, RepositorySettings("aws"), Progress())


@pytest.fixture
def usage(aws: Aws) -> UsageRecords:
    """A project whose one deployment, dev, uses one repository."""
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")
    ecr.ensure_repository(aws.ecr, SHARED, OWNER)
    records = UsageRecords(aws.s3, BUCKET)
    records.record("dev", MODULE, {SHARED})
    return records


@pytest.fixture
def steps(aws: Aws, usage: UsageRecords, monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(aws, monkeypatch)


def clean(aws: Aws) -> None:
    """Destroy dev, as `seedfarmer destroy` does."""
    cleaner = Cleaner(aws, "idf")
    cleaner.execute(cleaner.plan_removal(("dev", MODULE)))


@pytest.mark.parametrize("at", range(30))
def test_a_run_anywhere_in_a_clean_up_has_its_repository(
    at: int, aws: Aws, usage: UsageRecords, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that meets the announcement waits, and the clean-up goes on meanwhile."""

    class Waiting(Exception):  # noqa: N818 - no error
        pass

    def wait(seconds: float) -> None:
        raise Waiting

    waiting = []

    def run() -> None:
        try:
            run_of(aws).claim({SHARED}, set())
        except Waiting:
            waiting.append(True)

    monkeypatch.setattr(clean_up.time, "sleep", wait)
    steps.interrupt(at, run)
    clean(aws)
    if not steps.happened or waiting:
        run_of(aws).claim({SHARED}, set())  # after the clean-up

    assert ecr.repository_names(aws.ecr) == {SHARED}
    assert usage.in_use() == {SHARED}


@pytest.mark.parametrize("at", range(30))
def test_a_clean_up_anywhere_in_a_run_leaves_its_repository(
    at: int, aws: Aws, usage: UsageRecords, steps: Steps
) -> None:
    steps.interrupt(at, lambda: clean(aws))
    repositories = run_of(aws)
    run = repositories.claim({SHARED}, set()).run
    repositories.confirm({SHARED})
    repositories.settle({SHARED}, run)

    assert ecr.repository_names(aws.ecr) == {SHARED}
    assert usage.in_use() == {SHARED}


def test_the_tests_above_reach_every_step(aws: Aws, steps: Steps) -> None:
    clean(aws)
    assert len(steps.calls) < 30
    steps.calls.clear()
    run_of(aws).claim({SHARED}, set())
    assert len(steps.calls) < 30


@pytest.mark.parametrize("at", range(20))
def test_two_runs_of_one_deployment_keep_what_both_need(
    at: int, aws: Aws, usage: UsageRecords, steps: Steps
) -> None:
    """The second begins anywhere in the first, and is still under way when the first has ended."""
    second = run_of(aws, "dev")
    steps.interrupt(at, lambda: begun.append(second.claim({"idf-b"}, set()).run))
    begun: list[str] = []
    first = run_of(aws, "dev")
    run = first.claim({"idf-a"}, set()).run
    first.confirm({"idf-a"})
    if not begun:
        begun.append(second.claim({"idf-b"}, set()).run)
    first.settle({"idf-a"}, run)

    assert {"idf-a", "idf-b"} <= usage.in_use()
    second.settle({"idf-b"}, begun[0])
    assert {"idf-a", "idf-b"} <= usage.in_use()


def test_a_run_a_day_later_settles_what_two_at_once_have_left(
    aws: Aws, usage: UsageRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    for repositories in ({"idf-a"}, {"idf-b"}):
        usage.begin("dev", MODULE, repositories)
    usage.settle("dev", MODULE, {"idf-c"}, usage.begin("dev", MODULE, {"idf-c"}))
    assert usage.in_use() == {SHARED, "idf-a", "idf-b", "idf-c"}

    monkeypatch.setattr("dockerimage_replication.shared.usage.RUN_LIFETIME", timedelta(0))
    usage.settle("dev", MODULE, {"idf-c"}, usage.begin("dev", MODULE, {"idf-c"}))
    assert usage.in_use() == {"idf-c"}


def test_a_run_that_was_released_meanwhile_uploads_nothing(aws: Aws, usage: UsageRecords) -> None:
    repositories = run_of(aws, "dev")
    run = repositories.claim({SHARED}, set()).run
    clean(aws)

    with pytest.raises(UserError, match="released while this run was under way"):
        repositories.confirm({SHARED})
    with pytest.raises(UserError, match="released while this run was under way"):
        repositories.settle({SHARED}, run)


def test_releasing_a_deployment_that_is_applied_meanwhile_deletes_nothing(
    aws: Aws, usage: UsageRecords
) -> None:
    cleaner = Cleaner(aws, "idf")
    plan = cleaner.plan_repositories("dev")
    run_of(aws, "dev").claim({SHARED}, set())

    with pytest.raises(UserError, match=f"dev/{MODULE} has been applied meanwhile"):
        cleaner.execute(plan)

    assert ecr.repository_names(aws.ecr) == {SHARED}


def test_what_is_used_since_the_plan_is_spared_and_named(aws: Aws, usage: UsageRecords) -> None:
    ecr.ensure_repository(aws.ecr, "idf-unused", OWNER)
    cleaner = Cleaner(aws, "idf")
    plan = cleaner.plan_repositories("dev")
    usage.record("prod", MODULE, {SHARED})

    assert cleaner.execute(plan) == [SHARED]
    assert ecr.repository_names(aws.ecr) == {SHARED}


def test_a_slow_clean_up_looks_again_before_it_deletes(
    aws: Aws, usage: UsageRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who has given up waiting for it, because it seems to have broken off, is seen."""
    ecr.ensure_repository(aws.ecr, "idf-a", OWNER)
    now = [0.0]
    monkeypatch.setattr(clean_up.time, "monotonic", lambda: now[0])
    delete = ecr.delete_repository

    def slowly(client: Any, name: str) -> None:  # noqa: ANN401 - a boto3 client
        delete(client, name)
        now[0] += clean_up.FRESH
        UsageRecords(aws.s3, BUCKET).client.put_object(
            Bucket=BUCKET,
            Key=f"usage/prod/{MODULE}.json",
            Body=json.dumps({"deployment": "prod", "module": MODULE, "repositories": [SHARED]}).encode(),
        )

    monkeypatch.setattr(ecr, "delete_repository", slowly)
    cleaner = Cleaner(aws, "idf")

    assert cleaner.execute(cleaner.plan_repositories("dev")) == [SHARED]
    assert ecr.repository_names(aws.ecr) == {SHARED}


class TestAnnouncement:
    """What a clean-up says in the bucket."""

    @pytest.fixture
    def clean_ups(self, usage: UsageRecords) -> clean_up.CleanUps:
        return clean_up.CleanUps(usage.client, BUCKET)

    def age(self, aws: Aws, by: timedelta) -> None:
        value = json.loads(aws.s3.get_object(Bucket=BUCKET, Key=clean_up.KEY)["Body"].read())
        value["begun"] = (datetime.now(UTC) - by).isoformat()
        aws.s3.put_object(Bucket=BUCKET, Key=clean_up.KEY, Body=json.dumps(value).encode())

    @pytest.fixture
    def pauses(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        made: list[float] = []
        monkeypatch.setattr(clean_up.time, "sleep", made.append)
        return made

    def test_a_run_waits_for_what_it_needs_and_for_nothing_else(
        self, clean_ups: clean_up.CleanUps, usage: UsageRecords, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        announced = clean_ups.announce({SHARED})
        monkeypatch.setattr(clean_up.time, "sleep", lambda seconds: announced.end())

        usage.record("prod", MODULE, {"idf-other"})
        assert clean_up.KEY in {
            item["Key"] for item in usage.client.list_objects_v2(Bucket=BUCKET)["Contents"]
        }
        usage.record("prod", MODULE, {SHARED})
        assert clean_up.KEY not in {
            item["Key"] for item in usage.client.list_objects_v2(Bucket=BUCKET)["Contents"]
        }

    def test_waiting_ends_with_a_message_that_says_what_to_do(
        self, clean_ups: clean_up.CleanUps, usage: UsageRecords, pauses: list[float]
    ) -> None:
        clean_ups.announce({SHARED})

        with pytest.raises(UserError, match=r"clean-up\.json\): run this again when it has ended"):
            usage.record("prod", MODULE, {SHARED})
        assert len(pauses) == clean_up.PATIENCE

    def test_one_that_broke_off_is_over_after_its_lifetime(
        self, aws: Aws, clean_ups: clean_up.CleanUps, usage: UsageRecords, pauses: list[float]
    ) -> None:
        clean_ups.announce({SHARED})
        self.age(aws, clean_up.LIFETIME + timedelta(seconds=1))

        usage.record("prod", MODULE, {SHARED})
        clean_ups.announce({SHARED}).end()

        assert pauses == []

    def test_two_clean_ups_do_not_run_at_once(
        self, clean_ups: clean_up.CleanUps, pauses: list[float]
    ) -> None:
        clean_ups.announce({"idf-a"})

        with pytest.raises(UserError, match="another clean-up of this project is under way"):
            clean_ups.announce({"idf-b"})

    def test_one_that_was_taken_over_deletes_nothing_more(
        self, aws: Aws, clean_ups: clean_up.CleanUps, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(clean_up.time, "monotonic", lambda: now[0])
        first = clean_ups.announce({SHARED})
        self.age(aws, clean_up.LIFETIME + timedelta(seconds=1))
        second = clean_ups.announce({SHARED})
        now[0] = clean_up.FRESH

        with pytest.raises(UserError, match="has taken over"):
            first.renewed()
        first.end()
        assert second.renewed()

    def test_a_write_whose_answer_got_lost_is_recognised(
        self, aws: Aws, clean_ups: clean_up.CleanUps, pauses: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = aws.s3.put_object

        def lost(**arguments: Any) -> object:  # noqa: ANN401 - boto3's own
            original(**arguments)
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")  # the retry's answer

        with monkeypatch.context() as patched:
            patched.setattr(aws.s3, "put_object", lost)
            announced = clean_ups.announce({SHARED})
        announced.end()

        assert pauses == []
        assert clean_ups.announce({SHARED})


def test_the_last_destroy_takes_the_bucket_under_the_feet_of_a_run(
    aws: Aws, usage: UsageRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = UsageRecords.begin

    def after_destroy(self: UsageRecords, *arguments: Any) -> str:  # noqa: ANN401 - handed on
        monkeypatch.setattr(UsageRecords, "begin", begin)
        clean(aws)
        assert not exists(aws.s3, BUCKET)
        return begin(self, *arguments)

    monkeypatch.setattr(UsageRecords, "begin", after_destroy)
    run_of(aws).claim({SHARED}, set())

    assert usage.in_use() == {SHARED}
    assert ecr.repository_names(aws.ecr) == {SHARED}
