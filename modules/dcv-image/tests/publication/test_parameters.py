"""The two SSM parameters, on the emulator; what the emulator cannot do is scripted."""

from pathlib import Path

import pytest
from dcv_gate import Gate
from dcv_server.publication import parameters
from dcv_server.publication.errors import PublicationError
from dcv_server.publication.parameters import Parameters
from dcv_ssm import DISPLAY, NAMES, SOCKETS, EmulatedAws, ScriptedAws

VALUES = {"display": ":3", "socket_mount_path": "/var/addf/dcv-eks/sockets"}


def test_both_are_written_and_written_again_when_they_change(aws: EmulatedAws) -> None:
    target = Parameters(NAMES, aws.environment())

    target.ensure(VALUES)
    assert aws.published() == {DISPLAY: ":3", SOCKETS: "/var/addf/dcv-eks/sockets"}

    target.ensure({**VALUES, "display": ":4"})
    assert aws.published() == {DISPLAY: ":4", SOCKETS: "/var/addf/dcv-eks/sockets"}


def test_values_that_are_there_are_not_written_again(aws: EmulatedAws) -> None:
    for _ in range(3):
        Parameters(NAMES, aws.environment()).ensure(VALUES)

    assert aws.versions() == {1}


def test_a_service_that_is_down_is_named(aws: EmulatedAws) -> None:
    target = Parameters(NAMES, aws.environment())
    aws.gate.shut()

    with pytest.raises(PublicationError, match=r"SSM at 127\.0\.0\.1.* cannot be reached"):
        target.ensure(VALUES)


def test_a_service_that_hangs_is_given_up(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "SECONDS", 0.5)
    target = Parameters(NAMES, aws.environment())
    aws.gate.keep_waiting()

    with pytest.raises(PublicationError, match=r"SSM at .* did not answer within 0\.5 s"):
        target.ensure(VALUES)


def test_without_region_the_variable_is_named(aws: EmulatedAws) -> None:
    environment = {name: value for name, value in aws.environment().items() if name != "AWS_REGION"}

    with pytest.raises(PublicationError, match="AWS_REGION is not set"):
        Parameters(NAMES, environment).ensure(VALUES)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "may not use ssm:GetParameters; attach the policy DCVRuntimePolicyArn"),
        ("ThrottlingException", "SSM refuses GetParameters: ThrottlingException: as told"),
        ("ExpiredTokenException", "expired, or the clock is wrong"),
        ("InvalidSignatureException", "expired, or the clock is wrong"),
    ],
)
def test_each_refusal_is_told_apart(scripted_aws: ScriptedAws, code: str, message: str) -> None:
    scripted_aws.refuse(code)

    with pytest.raises(PublicationError, match=message):
        Parameters(NAMES, scripted_aws.environment()).ensure(VALUES)


def test_an_answer_of_another_shape_is_no_traceback(scripted_aws: ScriptedAws) -> None:
    scripted_aws.answers.append((200, {"Parameters": [{"nonsense": True}]}))

    with pytest.raises(PublicationError, match="SSM answers GetParameters in a form that is not known"):
        Parameters(NAMES, scripted_aws.environment()).ensure(VALUES)


class TestCredentialsOfTheServiceAccount:
    """What a pod with a role has: a token file that STS turns into credentials for a while."""

    @pytest.fixture
    def sts(self, aws: EmulatedAws) -> Gate:
        return Gate(aws.gate.port)

    @pytest.fixture
    def environment(self, aws: EmulatedAws, sts: Gate, tmp_path: Path) -> dict[str, str]:
        token = tmp_path / "token"
        token.write_text("a projected token", encoding="utf-8")
        return aws.environment(
            {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/dcv",
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
                "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{sts.port}",
            }
        )

    def test_sts_down_is_named_and_publication_succeeds_when_it_is_back(
        self, aws: EmulatedAws, sts: Gate, environment: dict[str, str]
    ) -> None:
        target = Parameters(NAMES, environment)
        sts.shut()

        with pytest.raises(PublicationError, match="STS gives no credentials"):
            target.ensure(VALUES)
        sts.open()
        target.ensure(VALUES)

        assert aws.published()[DISPLAY] == ":3"

    def test_sts_is_not_asked_for_every_verification(
        self, aws: EmulatedAws, sts: Gate, environment: dict[str, str]
    ) -> None:
        target = Parameters(NAMES, environment)
        target.ensure(VALUES)
        sts.shut()

        target.ensure({**VALUES, "display": ":5"})

        assert aws.published()[DISPLAY] == ":5"

    def test_credentials_in_hand_count_while_new_ones_cannot_be_had(
        self, aws: EmulatedAws, sts: Gate, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parameters, "KEPT_SECONDS", 0.0)
        target = Parameters(NAMES, environment)
        target.ensure(VALUES)
        sts.shut()

        target.ensure({**VALUES, "display": ":6"})

        assert aws.published()[DISPLAY] == ":6"


def test_expired_credentials_are_found_anew(scripted_aws: ScriptedAws) -> None:
    environment = scripted_aws.environment()
    target = Parameters(NAMES, environment)
    scripted_aws.refuse("ExpiredTokenException")
    with pytest.raises(PublicationError):
        target.ensure(VALUES)
    environment["AWS_ACCESS_KEY_ID"] = "renewed"

    target.ensure(VALUES)

    assert [action for _, action, _ in scripted_aws.asked[1:]] == [
        "GetParameters",
        "PutParameter",
        "PutParameter",
    ]
    assert set(scripted_aws.keys[1:]) == {"renewed"}
