"""Code that the other modules have a copy of."""

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from dockerimage_replication.aws import Aws
from dockerimage_replication.oci.endpoints import endpoint_of
from dockerimage_replication.shared import edge
from dockerimage_replication.shared.endpoints import Endpoints
from dockerimage_replication.shared.errors import ParameterError, UserError
from dockerimage_replication.shared.inventory import load_inventory
from hypothesis import given
from hypothesis import strategies as st
from replication_support import BUCKET

ENDPOINTS = Endpoints({"quay.io": "https://mirror.example/quay", "ecr.example": "http://127.0.0.1:4566"})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("quay.io", "https://mirror.example/quay"),
        ("ghcr.io", "https://ghcr.io"),
        ("docker.io", "https://registry-1.docker.io"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_a_host_is_reached_at_its_override_or_itself(host: str, url: str) -> None:
    assert ENDPOINTS.base_url(host) == url


def test_an_engine_is_told_the_real_address() -> None:
    assert ENDPOINTS.engine_name("quay.io/a/b:1") == "mirror.example/quay/a/b:1"
    assert ENDPOINTS.engine_name("ghcr.io/a:1") == "ghcr.io/a:1"
    assert ENDPOINTS.engine_name("busybox") == "busybox"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a": 1}',
        '{"a": "mirror.example"}',
        '{"a": "ftp://mirror.example"}',
        '{"a": "https://user:password@mirror.example"}',
        '{"a": "https://mirror.example?x=y"}',
        '{"a": "https://mirror.example:port"}',
        '{"a": "https://mirror.example:99999"}',
        '{"a": "https://mirror.example:0"}',
        '{"a": "https://[::1"}',
    ],
)
def test_other_overrides_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|must"):
        Endpoints.from_json(text)


@given(
    st.from_regex(r"https?://[a-z0-9.:\[\]@?#/-]{0,30}", fullmatch=True) | st.text(max_size=30),
)
def test_what_a_parameter_accepts_the_registry_client_accepts(url: str) -> None:
    try:
        endpoints = Endpoints.from_json(json.dumps({"quay.io": url}))
    except ValueError:
        return

    endpoint_of(endpoints, "quay.io")


@pytest.mark.parametrize("written", ["busybox:1", "library/busybox:1", "docker.io/library/busybox:1"])
def test_an_inventory_knows_the_spellings_of_docker_hub(written: str, aws: Aws) -> None:
    aws.s3.create_bucket(Bucket=BUCKET)
    aws.s3.put_object(Bucket=BUCKET, Key="k.json", Body=json.dumps({"images": {"busybox:1": "ecr/b:1"}}))

    inventory = load_inventory(aws.s3, f"{BUCKET}/k.json")

    assert inventory.private(written) == "ecr/b:1"
    assert inventory.private("quay.io/busybox:1") == "quay.io/busybox:1"


@pytest.mark.parametrize(
    ("path", "said"),
    [("bucket", "not an S3 path"), (f"{BUCKET}/absent", "does not exist"), ("absent/key", "does not exist")],
)
def test_an_inventory_that_is_not_there_is_named(path: str, said: str, aws: Aws) -> None:
    aws.s3.create_bucket(Bucket=BUCKET)

    with pytest.raises(UserError, match=said):
        load_inventory(aws.s3, path)


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("do this"), 1, "error: do this"),
        (ParameterError("set that"), 2, "error: set that"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject"),
            1,
            "error: AWS refused PutObject: AccessDenied: no",
        ),
        (EndpointConnectionError(endpoint_url="https://s3"), 1, "error: AWS could not be reached: "),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
)
def test_what_a_user_can_act_on_is_one_message_and_a_status(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge.run(raising(error)) == status
    assert capsys.readouterr().err.startswith(said)


def test_a_mistake_in_the_code_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        edge.run(raising(ZeroDivisionError()))
