"""Clean-up: what nobody uses goes, and nothing else."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from dockerimage_replication import cleanup, cli
from dockerimage_replication.aws import Aws
from dockerimage_replication.module_outputs import STATE_KEY
from dockerimage_replication.shared import ecr
from dockerimage_replication.shared.metadata_bucket import bucket_name, ensure_bucket, exists
from dockerimage_replication.shared.ownership import Owner
from dockerimage_replication.shared.usage import UsageRecords
from replication_support import BUCKET

MODULE = "replication-images"
OWNER = "dockerimage-replication"


class Deployed:
    """A project in the account, as runs of the module leave it."""

    def __init__(self, aws: Aws, project: str = "idf") -> None:
        self.aws = aws
        self.project = project
        self.bucket = bucket_name(project, aws.account)
        self.usage = UsageRecords(aws.s3, self.bucket)

    def deploy(self, deployment: str, *repositories: str) -> None:
        owner = Owner(self.project, OWNER)
        ensure_bucket(self.aws.s3, self.bucket, self.aws.account, self.project)
        self.usage.record(deployment, MODULE, set(repositories))
        for name in repositories:
            ecr.ensure_repository(self.aws.ecr, name, owner)
        self.aws.s3.put_object(Bucket=self.bucket, Key=f"{deployment}-{MODULE}-metadata.json", Body=b"{}")

    def push(self, repository: str, tag: str) -> None:
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"digest": f"sha256:{'0' * 64}", "size": 1},
            "layers": [{"digest": f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}", "size": 1}],
        }
        self.aws.ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)

    def repositories(self) -> set[str]:
        return ecr.repository_names(self.aws.ecr)

    def keys(self) -> set[str]:
        return {item["Key"] for item in self.aws.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])}

    def images(self, repository: str) -> int:
        return len(self.aws.ecr.list_images(repositoryName=repository)["imageIds"])


@pytest.fixture
def project(aws: Aws) -> Deployed:
    return Deployed(aws)


def destroy(monkeypatch: pytest.MonkeyPatch, retention: str, deployment: str = "dev") -> None:
    for name, value in {
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": deployment,
        "SEEDFARMER_MODULE_NAME": MODULE,
        "SEEDFARMER_PARAMETER_EKS_VERSION": "1.33",
        "SEEDFARMER_PARAMETER_RETENTION_TYPE": retention,
    }.items():
        monkeypatch.setenv(name, value)
    assert cleanup.destroy() == 0


def test_retain_forgets_the_use_and_keeps_everything(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy("dev", "idf-quay.io/app")

    destroy(monkeypatch, "RETAIN")

    assert project.repositories() == {"idf-quay.io/app"}
    assert project.keys() == {f"dev-{MODULE}-metadata.json"}


def test_destroy_deletes_what_no_other_deployment_uses(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy("dev", "idf-shared", "idf-mine")
    project.deploy("prod", "idf-shared", "idf-theirs")

    destroy(monkeypatch, "DESTROY")

    assert project.repositories() == {"idf-shared", "idf-theirs"}
    assert project.keys() == {f"prod-{MODULE}-metadata.json", f"usage/prod/{MODULE}.json"}


def test_the_last_one_takes_the_bucket_with_it(project: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    project.deploy("dev", "idf-app")
    project.deploy("dev", "idf-app")  # leaves old versions of objects

    destroy(monkeypatch, "DESTROY")

    assert project.repositories() == set()
    assert not exists(project.aws.s3, BUCKET)


def test_a_bucket_with_anything_else_in_it_stays(project: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    project.deploy("dev", "idf-app")
    project.aws.s3.put_object(Bucket=BUCKET, Key="notes.txt", Body=b"mine")

    destroy(monkeypatch, "DESTROY")

    assert project.keys() == {"notes.txt"}


def test_a_bucket_without_our_tags_stays(project: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    project.deploy("dev", "idf-app")
    project.aws.s3.delete_bucket_tagging(Bucket=BUCKET)

    destroy(monkeypatch, "DESTROY")

    assert exists(project.aws.s3, BUCKET)


@pytest.mark.parametrize("retention", ["RETAIN", "DESTROY"])
def test_destroy_of_what_was_never_deployed_succeeds(
    retention: str, aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destroy(monkeypatch, retention)

    assert capsys.readouterr().out == "nothing to do\n"


def test_destroy_after_a_deploy_that_broke_half_way_succeeds(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_bucket(project.aws.s3, BUCKET, project.aws.account, "idf")
    project.usage.record("dev", MODULE, {"idf-made", "idf-never-made"})
    ecr.ensure_repository(project.aws.ecr, "idf-made", Owner("idf", OWNER))

    destroy(monkeypatch, "DESTROY")
    destroy(monkeypatch, "DESTROY")

    assert project.repositories() == set()


def test_without_the_records_of_use_nothing_is_deleted(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    ecr.ensure_repository(aws.ecr, "idf-app", Owner("idf", OWNER))

    destroy(monkeypatch, "DESTROY")

    assert ecr.repository_names(aws.ecr) == {"idf-app"}


def test_a_project_whose_name_begins_the_same_is_untouched(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Deployed(project.aws, "idf-other")
    project.deploy("dev", "idf-app")
    other.deploy("dev", "idf-other-app")
    project.aws.ecr.create_repository(repositoryName="idf-by-hand")

    destroy(monkeypatch, "DESTROY")

    assert project.repositories() == {"idf-other-app", "idf-by-hand"}
    assert exists(project.aws.s3, other.bucket)
    assert other.usage.in_use() == {"idf-other-app"}


def test_another_module_of_the_project_keeps_its_repository(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy("dev", "idf-app")
    ecr.ensure_repository(project.aws.ecr, "idf-dcv", Owner("idf", "dcv-image"))

    destroy(monkeypatch, "DESTROY")

    assert project.repositories() == {"idf-dcv"}


def test_every_page_of_usage_records_counts(project: Deployed) -> None:
    project.deploy("dev", "idf-app")
    for number in range(1001):
        project.usage.record(f"d{number:04}", MODULE, {f"idf-{number}"})

    assert len(project.usage.in_use()) == 1002


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, answer: str = "") -> int:
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    return cli.main(arguments)


def test_a_dry_run_prints_what_the_real_run_deletes(
    project: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.deploy("dev", "idf-shared", "idf-mine")
    project.deploy("prod", "idf-shared")
    arguments = ("idf", "--deployment", "dev")

    assert run(monkeypatch, "delete-repos", *arguments, "--dry-run") == 0
    announced = capsys.readouterr().out
    assert project.repositories() == {"idf-shared", "idf-mine"}

    assert run(monkeypatch, "delete-repos", *arguments, "--yes") == 0
    assert capsys.readouterr().out == announced
    assert announced.splitlines() == [
        f"release the use by dev/{MODULE}",
        "delete the repository idf-mine with its images",
    ]
    assert project.repositories() == {"idf-shared"}
    assert project.usage.all() == {("prod", MODULE): {"idf-shared"}}


def test_without_a_deployment_only_what_is_unused_goes(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy("dev", "idf-used")
    ecr.ensure_repository(project.aws.ecr, "idf-unused", Owner("idf", OWNER))

    run(monkeypatch, "delete-repos", "idf", "--yes")

    assert project.repositories() == {"idf-used"}


def test_images_go_and_repositories_stay(project: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    project.deploy("dev", "idf-mine", "idf-shared", "idf-empty")
    project.deploy("prod", "idf-shared")
    for number in range(150):
        project.push("idf-mine", f"v{number}")
    project.push("idf-shared", "v1")

    assert run(monkeypatch, "delete-images", "idf", "--deployment", "dev", "--yes") == 0

    assert project.repositories() == {"idf-mine", "idf-shared", "idf-empty"}
    assert project.images("idf-mine") == 0
    assert project.images("idf-shared") == 1


@pytest.mark.parametrize(("answer", "left"), [("y", set()), ("", {"idf-app"}), ("no", {"idf-app"})])
def test_the_commands_ask_first(
    answer: str, left: set[str], project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy("dev", "idf-app")

    run(monkeypatch, "delete-repos", "idf", "--deployment", "dev", answer=answer)

    assert project.repositories() == left


def test_releasing_a_deployment_leaves_what_other_modules_recorded(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy("dev", "idf-app")
    project.usage.record("dev", "images-dcv", {"idf-dcv", "idf-app"})

    run(monkeypatch, "delete-repos", "idf", "--deployment", "dev", "--yes")

    assert project.usage.all() == {("dev", "images-dcv"): {"idf-dcv"}}
    assert project.repositories() == set()


def test_json_says_what_was_done(
    project: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.deploy("dev", "idf-app")
    arguments = ("delete-repos", "idf", "--deployment", "dev", "--json")
    steps = [
        {"action": "release", "target": f"dev/{MODULE}"},
        {"action": "delete-repository", "target": "idf-app"},
    ]

    run(monkeypatch, *arguments, "--dry-run")
    assert json.loads(capsys.readouterr().out) == {"steps": steps, "spared": [], "done": False}

    run(monkeypatch, *arguments, "--yes")
    assert json.loads(capsys.readouterr().out) == {"steps": steps, "spared": [], "done": True}
    assert project.repositories() == set()


@pytest.mark.parametrize("command", ["delete-images", "delete-repos"])
def test_json_never_asks(
    command: str, project: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "idf", "--json", answer="y") == 2
    assert "--dry-run or --yes" in capsys.readouterr().err


def test_the_lock_of_a_deployment_goes_with_it_and_the_last_one_takes_the_state(
    project: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for deployment in ("dev", "prod"):
        project.deploy(deployment, "idf-app")
        project.aws.s3.put_object(Bucket=BUCKET, Key=f"{deployment}-{MODULE}-lock.json", Body=b"{}")
    project.aws.s3.put_object(Bucket=BUCKET, Key=STATE_KEY, Body=b"{}")

    destroy(monkeypatch, "DESTROY")
    assert project.keys() >= {STATE_KEY, f"prod-{MODULE}-lock.json"}
    assert not any("dev" in key for key in sorted(project.keys()))

    destroy(monkeypatch, "DESTROY", "prod")
    assert not exists(project.aws.s3, BUCKET)


@pytest.mark.parametrize("name", ["delete_images.py", "delete_repos.py"])
def test_the_scripts_explain_themselves(name: str) -> None:
    script = Path(__file__).parents[1] / name
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)

    for word in ("project", "--deployment", "--dry-run", "--yes", "--json"):
        assert word in done.stdout
