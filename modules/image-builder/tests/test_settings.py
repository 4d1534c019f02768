"""Parameters: defaults, and one message for everything that is wrong."""

import pytest
from image_builder.settings import Parameters
from image_builder.shared.errors import ParameterError
from image_builder.shared.settings import load

PREFIX = "SEEDFARMER_PARAMETER_"
OIDC = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC123"


def test_without_parameters_the_defaults_hold() -> None:
    _, parameters = load(Parameters)

    assert parameters.repository("airgap") == "airgap-image-builder"
    assert parameters.prefix_of_images("airgap", "test") == "airgap-test-images"
    assert parameters.service_accounts == ["dcrx-kv", "dcrx-kv-builds"]
    assert parameters.desktops == {}
    assert parameters.oidc_issuer is None
    assert parameters.retention_type == "RETAIN"


def test_what_other_modules_give_reaches_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DESKTOP_IMAGE_URIS", '{"debian-systemd-base": "host.example/a/b:latest"}')
    monkeypatch.setenv(f"{PREFIX}EKS_OIDC_ARN", OIDC)
    monkeypatch.setenv(f"{PREFIX}SERVICE_ACCOUNT_NAMES", '["one", "two"]')

    _, parameters = load(Parameters)

    assert parameters.desktops == {"debian-systemd-base": "host.example/a/b:latest"}
    assert parameters.oidc_issuer == "oidc.eks.us-east-1.amazonaws.com/id/ABC123"
    assert parameters.service_accounts == ["one", "two"]


WRONG = {
    "ecr-repository-name": "Upper/Case",
    "images-prefix": "-x",
    "replicated-ecr-images-metadata-s3-path": "no-key",
    "dcv-image-uri": "--privileged",
    "desktop-image-uris": '["a list"]',
    "base-image": "an image",
    "os-packages-mirror": "https://user:canary@mirror.example.com",
    "eks-cluster-name": "a cluster",
    "eks-oidc-arn": "arn:aws:iam::1:role/x",
    "eks-cluster-admin-role-arn": "administrator",
    "release-to-eks": "perhaps",
    "chart-values": '["a list"]',
    "database-secret-name": "a secret",
    "release-timeout-minutes": "0",
    "helm-distro-url": "https://user:canary@get.helm.sh/helm.tar.gz",
    "helm-distro-sha256": "abc",
    "namespace": "Upper",
    "service-account-names": "one, Two",
    "service-endpoint": "ftp://example.com",
    "retention-type": "KEEP",
}


def test_all_problems_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(f"{PREFIX}{name.replace('-', '_').upper()}", value)

    with pytest.raises(ParameterError) as raised:
        load(Parameters)

    assert [name for name in WRONG if f"`{name}`" not in str(raised.value)] == []
    assert "canary" not in str(raised.value)
    assert raised.value.exit_status == 2


@pytest.mark.parametrize("value", ["s3://bucket/key", "bucket", "bucket/", "/key", "bucket//key"])
def test_an_inventory_is_named_as_roles_write_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The template puts it into ARNs unchanged."""
    monkeypatch.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", value)

    with pytest.raises(ParameterError, match=r"bucket/key, without `s3://`"):
        load(Parameters)


@pytest.mark.parametrize("value", ["{", '{"a": 1}', '{"a b": "host/x:1"}', '{"a": "not an image"}'])
def test_desktops_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(f"{PREFIX}DESKTOP_IMAGE_URIS", value)

    with pytest.raises(ParameterError, match="`desktop-image-uris`"):
        load(Parameters)


RELEASE = {"release-to-eks": "true", "eks-cluster-name": "production", "database-secret-name": "database"}


@pytest.mark.parametrize(
    ("changes", "parameter", "complaint"),
    [
        ({"eks-cluster-name": ""}, "release-to-eks", "is true, but `eks-cluster-name` is not set"),
        ({"database-secret-name": ""}, "database-secret-name", "is needed with `release-to-eks`"),
        ({"chart-values": '{"existingSecret": "x"}'}, "chart-values", "has existingSecret"),
        ({"chart-values": '{"image": {"uri": "x"}}'}, "chart-values", "has image.uri"),
        ({"chart-values": "replicas: 2"}, "chart-values", "is not JSON"),
        ({"helm-distro-url": "https://get.helm.sh/x.tar.gz"}, "helm-distro-sha256", "is needed"),
        ({"helm-distro-sha256": "0" * 64}, "helm-distro-sha256", "is needed with `helm-distro-url`"),
    ],
)
def test_what_a_release_needs_besides_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], parameter: str, complaint: str
) -> None:
    give(monkeypatch, {**RELEASE, **changes})

    with pytest.raises(ParameterError) as raised:
        load(Parameters)

    assert f"`{parameter}`" in str(raised.value)
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"database-secret-name": "", "chart-values": '{"database": {"tryOut": {"enabled": true}}}'},
        {"helm-distro-url": "https://get.helm.sh/x.tar.gz", "helm-distro-sha256": "0" * 64},
    ],
)
def test_a_release_takes_a_cluster_and_a_database(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    give(monkeypatch, {**RELEASE, **changes})

    assert load(Parameters)[1].release_to_eks


def give(monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str]) -> None:
    for name, value in parameters.items():
        if value:
            monkeypatch.setenv(f"{PREFIX}{name.replace('-', '_').upper()}", value)
