"""The credentials: what of Secrets Manager's answers is taken, how AWS is asked, what is said otherwise."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from dcv_server import aws_credentials, credentials
from dcv_server.aws_client import call, signed_headers
from dcv_server.aws_credentials import AwsCredentials, CredentialsError
from dcv_server.credentials import Credentials, parse
from dcv_server.errors import StartError

from .secrets_double import SecretsDouble

CANARY = "do-not-show-me"


@pytest.fixture(name="aws")
def own_aws() -> Iterator[SecretsDouble]:
    double = SecretsDouble()
    yield double
    double.close()


@pytest.fixture
def environment(aws: SecretsDouble) -> dict[str, str]:
    return {
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def refused(read: Callable[[], object]) -> str:
    """The one line for the user."""
    with pytest.raises(StartError) as caught:
        read()
    message = str(caught.value)
    assert message.startswith("dcv-sm-name: the secret ")
    assert "\n" not in message
    assert CANARY not in message
    return message


class TestParse:
    @pytest.mark.parametrize("password", ["p", "\"'`$(id)\n\t\\ é 😀", "x" * 511])
    def test_any_password_that_a_login_can_send(self, password: str) -> None:
        text = json.dumps({"UserName": "sampleuser", "Password": password, "more": 1})

        assert parse("s", text) == Credentials("sampleuser", password)

    @pytest.mark.parametrize("user", ["a", "Administrator", "_x", "first.last", "a-b_c", "a" * 32])
    def test_user_names(self, user: str) -> None:
        assert parse("s", json.dumps({"UserName": user, "Password": CANARY})).user == user

    @pytest.mark.parametrize(
        "user", ["-rf", "1st", "a b", "a:b", "a\nb", "../x", "a/b", "é", "a" * 33, "a$", "\0", "."]
    )
    def test_user_names_that_no_account_can_have(self, user: str) -> None:
        message = refused(lambda: parse("s", json.dumps({"UserName": user, "Password": CANARY})))

        assert "UserName that no account can have" in message

    @pytest.mark.parametrize(
        "password", [f"{CANARY}\0", f"{CANARY}\ud800", CANARY + "x" * 500, CANARY + "é" * 260]
    )
    def test_passwords_that_no_login_can_send(self, password: str) -> None:
        assert "has a Password " in refused(
            lambda: parse("s", json.dumps({"UserName": "a", "Password": password}))
        )

    @pytest.mark.parametrize("value", [None, 1, True, ["x"], {"a": CANARY}, ""])
    @pytest.mark.parametrize("key", ["UserName", "Password"])
    def test_values_that_are_no_text(self, key: str, value: object) -> None:
        content = {"UserName": "a", "Password": CANARY, key: value}

        assert key in refused(lambda: parse("s", json.dumps(content)))

    @pytest.mark.parametrize(
        "text", [CANARY, f'"{CANARY}"', f'["{CANARY}"]', "null", "{", f'{{"Password": "{CANARY}"}}']
    )
    def test_other_documents(self, text: str) -> None:
        refused(lambda: parse("s", text))

    def test_the_password_is_in_no_representation(self) -> None:
        assert CANARY not in repr(Credentials("a", CANARY))
        assert CANARY not in repr(AwsCredentials("id", CANARY, CANARY))


class TestRead:
    def test_the_secret_that_is_named(self, aws: SecretsDouble, environment: dict[str, str]) -> None:
        aws.secrets["team/dcv"] = json.dumps({"UserName": "a", "Password": CANARY})

        assert credentials.read({**environment, "DCV_SM_NAME": "team/dcv"}) == Credentials("a", CANARY)

    def test_the_default_name(self, aws: SecretsDouble, environment: dict[str, str]) -> None:
        aws.secrets.clear()

        assert "'dcv-credentials' does not exist" in refused(lambda: credentials.read(environment))

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("AccessDeniedException", "attach the policy DCVRuntimePolicyArn"),
            ("ExpiredTokenException", "ExpiredTokenException"),
            ("InternalServiceError", "InternalServiceError"),
        ],
    )
    def test_refusals(
        self, aws: SecretsDouble, environment: dict[str, str], code: str, expected: str
    ) -> None:
        aws.refusal = (400, code)

        assert expected in refused(lambda: credentials.read(environment))

    def test_it_is_asked_again_while_aws_does_not_answer(
        self, aws: SecretsDouble, environment: dict[str, str]
    ) -> None:
        aws.secrets["dcv-credentials"] = json.dumps({"UserName": "a", "Password": CANARY})
        waits: list[float] = []
        right = environment["AWS_ENDPOINT_URL"]
        environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"

        def pause(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                environment["AWS_ENDPOINT_URL"] = right

        assert credentials.read(environment, pause).user == "a"
        assert waits == [0.5, 1.0]

    def test_without_an_answer_the_address_is_named(self, environment: dict[str, str]) -> None:
        environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"

        message = refused(lambda: credentials.read(environment, lambda _: None))

        assert "Secrets Manager at 127.0.0.1:9 cannot be reached" in message


class TestAwsCredentials:
    def test_no_way_to_get_any(self) -> None:
        with pytest.raises(CredentialsError, match="give the pod's service account a role"):
            aws_credentials.find({"AWS_EC2_METADATA_DISABLED": "true"})

    def test_no_region(self) -> None:
        with pytest.raises(CredentialsError, match="AWS_REGION is not set"):
            aws_credentials.endpoint("ssm", {})

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ({"AWS_REGION": "eu-west-1"}, "https://ssm.eu-west-1.amazonaws.com"),
            ({"AWS_DEFAULT_REGION": "cn-north-1"}, "https://ssm.cn-north-1.amazonaws.com.cn"),
            ({"AWS_ENDPOINT_URL": "http://x/", "AWS_REGION": "a"}, "http://x"),
            ({"AWS_ENDPOINT_URL": "http://x", "AWS_ENDPOINT_URL_SSM": "http://y"}, "http://y"),
        ],
    )
    def test_endpoints(self, environment: dict[str, str], expected: str) -> None:
        assert aws_credentials.endpoint("ssm", environment) == expected

    def test_a_role_of_the_service_account_whose_token_is_gone(self, tmp_path: Path) -> None:
        with pytest.raises(CredentialsError, match=r"token .* cannot be read"):
            aws_credentials.find({"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "gone"), "AWS_REGION": "a"})

    def test_sts_that_does_not_answer(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text(CANARY)
        environment = {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/dcv",
            "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
        }
        with pytest.raises(
            CredentialsError, match=re.escape("STS gives no credentials: 127.0.0.1:9")
        ) as caught:
            aws_credentials.find(environment)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize("token", ["", "session/token=="])
def test_the_signature_is_the_sdks(token: str) -> None:
    url, body = "https://secretsmanager.eu-west-1.amazonaws.com", b'{"SecretId": "s"}'
    now = time.gmtime(1_700_000_000)
    ours = signed_headers(
        url,
        "secretsmanager",
        "eu-west-1",
        "secretsmanager.GetSecretValue",
        body,
        AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI", token),
        now,
    )

    request = botocore.awsrequest.AWSRequest(
        "POST",
        url + "/",
        data=body,
        headers={name: ours[name] for name in ("content-type", "host", "x-amz-date", "x-amz-target")},
    )
    request.context["timestamp"] = ours["x-amz-date"]
    signer = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", token or None),
        "secretsmanager",
        "eu-west-1",
    )
    if token:
        request.headers["X-Amz-Security-Token"] = token
    canonical = signer.canonical_request(request)
    theirs = signer.signature(signer.string_to_sign(request, canonical), request)

    assert ours["authorization"].endswith(f"Signature={theirs}")


def test_what_is_sent_is_signed(aws: SecretsDouble, environment: dict[str, str]) -> None:
    aws.secrets["s"] = "{}"

    call("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "s"}, environment)

    (sent,) = aws.requests
    assert sent["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert re.search(
        r"Credential=AKIDEXAMPLE/\d{8}/eu-west-1/secretsmanager/aws4_request, ", sent["authorization"]
    )
    assert sent["host"] == f"127.0.0.1:{aws.port}"
