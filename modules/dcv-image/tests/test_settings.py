"""Parameters: every problem at once, by manifest name, before anything is touched."""

import subprocess
import sys
from pathlib import Path

import pytest
from dcv_image.settings import DEFAULT_BASE_IMAGE, Parameters
from dcv_image.shared.settings import load

MODULE = Path(__file__).resolve().parent.parent
PREFIX = "SEEDFARMER_PARAMETER_"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command", [("-m", "dcv_image", "apply"), ("-m", "dcv_image", "destroy"), ("app.py",)]
)
def test_every_problem_is_in_one_message(environment: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    environment.delenv("SEEDFARMER_DEPLOYMENT_NAME")
    environment.delenv(f"{PREFIX}DCV_ECR_REPOSITORY_NAME")
    environment.setenv(f"{PREFIX}DCV_SM_NAME", "arn:aws:secretsmanager:us-east-1:1:secret:x")
    environment.setenv(f"{PREFIX}BASE_IMAGE", "--privileged")
    environment.setenv(f"{PREFIX}CREATE_REPOSITORY", "perhaps")
    environment.setenv(f"{PREFIX}RETENTION_TYPE", "KEEP")
    environment.delenv(f"{PREFIX}DCV_ARCHIVE_SHA256")
    environment.setenv(f"{PREFIX}DCV_SIGNING_KEY_FINGERPRINT", "1234")
    environment.setenv(f"{PREFIX}DCV_ARCHIVE", "../outside.tgz")
    environment.setenv(f"{PREFIX}DCV_VERSION", "newest")
    environment.setenv(f"{PREFIX}OS_PACKAGES_MIRROR", "https://user:secret@mirror.example.com/list")
    environment.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "only-a-bucket")

    done = run(*command)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in (
        "dcv-ecr-repository-name",
        "dcv-sm-name",
        "base-image",
        "create-repository",
        "retention-type",
        "replicated-ecr-images-metadata-s3-path",
        "dcv-archive",
        "dcv-archive-sha256",
        "dcv-signing-key-fingerprint",
        "dcv-version",
        "os-packages-mirror",
    ):
        assert f"manifest parameter `{name}`" in done.stderr
    assert "SEEDFARMER_DEPLOYMENT_NAME" in done.stderr
    assert "secret@" not in done.stderr


@pytest.mark.parametrize(
    "name", ["a", "Upper", "dcv image", "/dcv", "dcv/", "dcv--image", "a" * 257, "dcv:tag"]
)
def test_a_name_that_ecr_refuses_is_refused(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(f"{PREFIX}DCV_ECR_REPOSITORY_NAME", name)

    with pytest.raises(Exception, match="dcv-ecr-repository-name"):
        load(Parameters)


@pytest.mark.parametrize(
    "reference",
    [
        DEFAULT_BASE_IMAGE,
        "ubuntu",
        "ubuntu:22.04",
        "localhost:5000/base",
        f"registry.example.com:8443/team/a__b/c-d:1.0_x@sha256:{'0' * 64}",
    ],
)
def test_image_references_are_taken(environment: pytest.MonkeyPatch, reference: str) -> None:
    environment.setenv(f"{PREFIX}BASE_IMAGE", reference)

    assert load(Parameters)[1].base_image == reference


def test_defaults_are_the_documents(environment: pytest.MonkeyPatch) -> None:
    parameters = load(Parameters)[1]

    assert parameters.dcv_sm_name == "dcv-credentials"
    assert parameters.create_repository is False
    assert parameters.retention_type == "RETAIN"


def test_the_archive_is_the_vendors_own_unless_the_manifest_names_one(
    environment: pytest.MonkeyPatch,
) -> None:
    name = "nice-dcv-2025.0-20103-amzn2023-aarch64.tgz"
    assert load(Parameters)[1].archive_for("amzn2023", "aarch64").endswith(f"/2025.0/Servers/{name}")

    environment.setenv(f"{PREFIX}DCV_ARCHIVE", "s3://mirror/dcv.tgz")
    assert load(Parameters)[1].archive_for("amzn2023", "aarch64") == "s3://mirror/dcv.tgz"


def test_a_fingerprint_may_be_written_in_groups(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}DCV_SIGNING_KEY_FINGERPRINT", "abcd 1234 " * 5)

    assert load(Parameters)[1].dcv_signing_key_fingerprint == "ABCD1234" * 5


def test_an_archive_of_the_aws_cli_needs_its_checksum(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}AWS_CLI_ARCHIVE", "awscli.zip")

    with pytest.raises(Exception, match="aws-cli-archive-sha256"):
        load(Parameters)
