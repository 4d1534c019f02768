"""The chart renders what every supported Kubernetes takes, and gives the pod no more than it needs."""

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dcv_chart import CHART, EVERYTHING, REQUIRED, Helm, settings
from dcv_server.publication import settings as publication
from kubernetes_validate.utils import all_versions, major_minor

# The package's schemas are made from the OpenAPI document of each release.
KUBERNETES = sorted(
    {major_minor(version) for version in all_versions()}, key=lambda text: int(text.split(".")[1])
)


def test_schemas_reach_from_1_25_to_the_newest() -> None:
    assert KUBERNETES[0] == "1.25"
    assert len(KUBERNETES) >= 13


def test_lint_finds_nothing(helm: Helm) -> None:
    for values in ({}, REQUIRED, EVERYTHING):
        done = helm.run("lint", str(CHART), "--strict", *settings(values))

        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid(rendered: list[dict[str, Any]], version: str) -> None:
    for document in rendered:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_wrong_manifest_is_found_by_the_schemas(rendered: list[dict[str, Any]]) -> None:
    (deployment,) = (item for item in rendered if item["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


def test_names_are_those_of_existing_consumers(helm: Helm) -> None:
    objects = helm.objects(REQUIRED)

    assert objects["ServiceAccount"]["metadata"]["name"] == "dcv-agent-src-account"
    assert objects["ConfigMap"]["metadata"]["name"] == "dcv-agent-config-map"
    assert objects["ConfigMap"]["data"] == {"socket_mount_path": "/var/addf/dcv-eks/sockets"}
    assert objects["Service"]["metadata"]["name"] == "dcv-svc"
    assert _pod(objects)["serviceAccountName"] == "dcv-agent-src-account"
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"]["env"] == "dcv"


def test_the_service_carries_websocket_and_quic_to_the_pod(helm: Helm) -> None:
    objects = helm.objects(REQUIRED)

    served = {(port["protocol"], port["port"], port["targetPort"]) for port in _service(objects)["ports"]}
    listening = {
        (port["protocol"], port["containerPort"], port["name"]) for port in _container(objects)["ports"]
    }
    assert served == listening == {("TCP", 8443, "dcv-tcp"), ("UDP", 8443, "dcv-udp")}
    assert _service(objects)["selector"].items() <= _labels(objects).items()


def test_the_role_allows_one_configmap_and_two_verbs(helm: Helm) -> None:
    assert helm.objects(REQUIRED)["Role"]["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["dcv-agent-config-map"],
            "verbs": ["list", "patch"],
        }
    ]


def test_the_container_is_confined(helm: Helm) -> None:
    container = _container(helm.objects(REQUIRED))["securityContext"]

    assert container["privileged"] is False
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"]["drop"] == ["ALL"]
    assert _pod(helm.objects(REQUIRED))["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_probes_wait_longer_than_the_default_second(helm: Helm) -> None:
    container = _container(helm.objects(REQUIRED))
    health, ready = ["/usr/local/bin/check_healthy.sh"], ["/usr/local/bin/check_healthy.sh", "--ready"]

    for name, command in (("startupProbe", health), ("livenessProbe", health), ("readinessProbe", ready)):
        assert container[name]["exec"]["command"] == command
        assert container[name]["timeoutSeconds"] == 5


def test_the_environment_is_what_the_publication_reads(helm: Helm) -> None:
    values = {**REQUIRED, "ssm.displayParameter": "/idf/prod/desktops-dcv/dcv-display"}
    environment = {item["name"]: item["value"] for item in _container(helm.objects(values))["env"]}
    read = publication.PublicationSettings.from_environment(environment)

    assert read.config_map == "dcv-agent-config-map"
    assert read.display_parameter == "/idf/prod/desktops-dcv/dcv-display"
    assert read.socket_parameter == "/idf/prod/desktops-dcv/dcv-socket-mount-path"
    assert read.socket_mount_path == "/var/addf/dcv-eks/sockets"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["DCV_SM_NAME"] == "dcv-credentials"


def test_what_is_turned_off_leaves_no_trace(helm: Helm) -> None:
    objects = helm.objects({**REQUIRED, "configMap.enabled": "false", "networkPolicy.enabled": "false"})

    assert set(objects) == {"ServiceAccount", "Service", "Deployment"}
    assert _pod(objects)["automountServiceAccountToken"] is False
    names = {item["name"] for item in _container(objects)["env"]}
    assert not names & {publication.CONFIG_MAP, publication.DISPLAY_PARAMETER}


def test_a_gpu_is_asked_for_with_its_runtime(helm: Helm) -> None:
    objects = helm.objects(EVERYTHING)

    assert _pod(objects)["runtimeClassName"] == "nvidia"
    assert _container(objects)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert _pod(objects)["nodeSelector"] == {"usage": "gpu"}
    assert "nvidia.com/gpu" not in _container(helm.objects(REQUIRED))["resources"]["limits"]


def test_every_mount_has_its_volume(helm: Helm) -> None:
    for values in (REQUIRED, EVERYTHING):
        objects = helm.objects(values)
        mounted = [mount["name"] for mount in _container(objects)["volumeMounts"]]

        assert sorted(mounted) == sorted(volume["name"] for volume in _pod(objects)["volumes"])


@pytest.mark.parametrize("missing", ["image.uri", "region", "tls.secretName"])
def test_a_value_that_is_needed_is_asked_for_by_name(helm: Helm, missing: str) -> None:
    values = {name: value for name, value in REQUIRED.items() if name != missing}
    done = helm.run("template", "dcv", str(CHART), *settings(values))

    assert done.returncode != 0
    assert missing in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service.name", "No Name"),
        ("image.pullPolicy", "Sometimes"),
        ("region", "Frankfurt"),
        ("serviceAccount.roleArn", "arn:aws:iam::1:user/x"),
        ("ssm.displayParameter", "no/slash"),
        ("sharedMemory", "much"),
        ("gpu.count", "-1"),
        ("tls.selfsigned", "true"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, name: str, value: str) -> None:
    done = helm.run("template", "dcv", str(CHART), *settings({**REQUIRED, name: value}))

    assert done.returncode != 0
    assert name.rpartition(".")[2] in done.stderr


def test_every_value_has_a_description() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    assert _leaves(schema) == _names(values, schema)


@pytest.fixture(scope="module")
def _text(helm: Helm) -> str:
    return helm.template(EVERYTHING)


@pytest.fixture
def rendered(_text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(_text) if document]


def _pod(objects: dict[str, Any]) -> dict[str, Any]:
    return objects["Deployment"]["spec"]["template"]["spec"]


def _labels(objects: dict[str, Any]) -> dict[str, str]:
    return objects["Deployment"]["spec"]["template"]["metadata"]["labels"]


def _container(objects: dict[str, Any]) -> dict[str, Any]:
    return _pod(objects)["containers"][0]


def _service(objects: dict[str, Any]) -> dict[str, Any]:
    return objects["Service"]["spec"]


def _leaves(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Names of the values that a schema describes."""
    found = set()
    for name, item in schema.get("properties", {}).items():
        if "properties" in item:
            found |= _leaves(item, f"{prefix}{name}.")
        else:
            assert re.search(r"[.`]$", item["description"]), name
            found.add(prefix + name)
    return found


def _names(values: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Names of the values that have a default, down to where the schema stops."""
    found = set()
    for name, value in values.items():
        item = schema["properties"][name]
        if "properties" in item:
            found |= _names(value, item, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found
