"""The chart renders what every supported Kubernetes takes, and gives pods no more than they need."""

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from image_builder.cluster.permissions import PERMISSIONS
from image_builder.cluster.template import read_template
from image_builder.service_settings import read_settings
from kubernetes_validate.utils import all_versions, major_minor

from .helm import CHART, EVERYTHING, IN_CLUSTER, NAME, Helm, Objects, by_name, options

# The package's schemas are made from the OpenAPI document of each release.
KUBERNETES = sorted(
    {major_minor(version) for version in all_versions()}, key=lambda text: int(text.split(".")[1])
)
OWN_DATABASE = {"database.tryOut.enabled": "false", "database.host": "db.example.com"}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.mark.parametrize("values", [{}, EVERYTHING, OWN_DATABASE, IN_CLUSTER])
def test_lint_finds_nothing(helm: Helm, values: dict[str, str]) -> None:
    done = helm.run("lint", str(CHART), "--strict", *options(values))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_of_the_document_works(helm: Helm) -> None:
    """`helm install dcrx-kv helm/dcrx-kv/ --values helm/dcrx-kv/values.yml`, as a dry run."""
    objects = by_name(helm.template({}, "--values", str(CHART / "values.yml")))

    assert objects["Deployment", NAME]["spec"]["replicas"] == 3
    assert objects["Service", NAME]["spec"]["type"] == "LoadBalancer"
    assert objects["Ingress", NAME]["spec"]["ingressClassName"] == "nginx"
    assert {"secretRef": {"name": "dcrx-kv-secrets"}} in _container(objects)["envFrom"]
    assert objects == helm.objects({}) or _without_password(objects) == _without_password(helm.objects({}))


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid(rendered: list[dict[str, Any]], version: str) -> None:
    for document in rendered:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_wrong_manifest_is_found_by_the_schemas(rendered: list[dict[str, Any]]) -> None:
    (deployment,) = (item for item in rendered if item["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize(
    ("has", "budget", "scaler"),
    [
        (("policy/v1", "autoscaling/v2"), "policy/v1", "autoscaling/v2"),
        (("policy/v1", "autoscaling/v2", "autoscaling/v2beta2"), "policy/v1", "autoscaling/v2"),
        (("autoscaling/v2beta2",), "policy/v1beta1", "autoscaling/v2beta2"),
        ((), "policy/v1beta1", "autoscaling/v1"),
    ],
)
def test_api_versions_are_those_that_the_cluster_has(
    helm: Helm, tmp_path: Path, has: tuple[str, ...], budget: str, scaler: str
) -> None:
    """Helm's own list for rendering without a cluster is a new one; the helper is asked with another."""
    chart = _chart_that_knows(tmp_path, has)
    done = helm.run("template", NAME, str(chart), "--set", "autoscaling.enabled=true")
    objects = by_name(done.stdout)

    assert objects["PodDisruptionBudget", NAME]["apiVersion"] == budget
    found = objects["HorizontalPodAutoscaler", NAME]
    assert found["apiVersion"] == scaler
    assert ("targetCPUUtilizationPercentage" in found["spec"]) == (scaler == "autoscaling/v1")


def test_pods_of_the_service_and_its_database_obey_the_restricted_profile(helm: Helm) -> None:
    objects = helm.objects(EVERYTHING)

    for kind, name in (("Deployment", NAME), ("StatefulSet", f"{NAME}-postgresql")):
        pod = objects[kind, name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(container["securityContext"] == RESTRICTED for container in pod["containers"])
    test_pod = objects["Pod", f"{NAME}-test"]["spec"]
    assert test_pod["containers"][0]["securityContext"] == RESTRICTED


def test_build_pods_obey_it_too_unless_they_run_commands(helm: Helm) -> None:
    pod = _job(helm.objects(IN_CLUSTER))["spec"]["template"]["spec"]

    assert pod["containers"][0]["securityContext"] == RESTRICTED
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "hostUsers" not in pod


@pytest.mark.parametrize(
    ("version", "host_users"), [("1.32.0", None), ("1.33.0", False), ("v1.35.2-eks-1", False)]
)
def test_build_pods_with_commands_get_what_a_user_namespace_needs(
    helm: Helm, version: str, host_users: bool | None
) -> None:
    objects = helm.objects({**IN_CLUSTER, "builds.commands": "true"}, f"--kube-version={version}")
    pod = _job(objects)["spec"]["template"]["spec"]

    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": True,
        "readOnlyRootFilesystem": True,
        "procMount": "Unmasked",
        "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "Unconfined"}
    assert pod.get("hostUsers") is host_users


def test_the_role_allows_what_the_service_asks_for_and_nothing_else(helm: Helm) -> None:
    objects = helm.objects(IN_CLUSTER)
    rules = objects["Role", f"{NAME}-builds"]["rules"]
    (owner,) = [rule for rule in rules if rule["resources"] == ["configmaps"]]

    assert ("ConfigMap", owner.pop("resourceNames")[0]) in objects
    assert rules == [
        {"apiGroups": [item.api_group], "resources": [item.resource], "verbs": list(item.verbs)}
        for item in PERMISSIONS
    ]


def test_only_the_service_has_a_token_and_only_when_it_builds_in_the_cluster(helm: Helm) -> None:
    for values, token in (({}, False), (IN_CLUSTER, True)):
        objects = helm.objects(values)
        assert (
            objects["Deployment", NAME]["spec"]["template"]["spec"]["automountServiceAccountToken"] is token
        )
        assert (("Role", f"{NAME}-builds") in objects) is token
    assert _job(objects)["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert _job(objects)["spec"]["template"]["spec"]["serviceAccountName"] == f"{NAME}-builds"


def test_the_template_of_builds_is_one_that_the_service_takes(helm: Helm, tmp_path: Path) -> None:
    text = helm.objects(EVERYTHING)["ConfigMap", f"{NAME}-builds"]["data"]["job.yaml"]
    file = tmp_path / "job.yaml"
    file.write_text(text)
    job = read_template(file)

    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "builds"
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    pod = job["spec"]["template"]
    assert pod["metadata"]["labels"]["team"] == "platform"
    assert pod["spec"]["nodeSelector"] == {"usage": "builds"}
    assert pod["spec"]["tolerations"] == [{"key": "builds", "operator": "Exists"}]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["spec"]["containers"][0]["command"] == ["image-builder"]
    kubernetes_validate.validate(
        {**job, "metadata": {**job["metadata"], "name": "x"}}, KUBERNETES[-1], strict=True
    )


@pytest.mark.parametrize("values", [{}, IN_CLUSTER, OWN_DATABASE, EVERYTHING])
def test_the_service_takes_the_environment_that_it_gets(
    helm: Helm, tmp_path: Path, values: dict[str, str]
) -> None:
    objects = helm.objects(values)
    environment = {
        **objects["ConfigMap", f"{NAME}-settings"]["data"],
        **{item["name"]: item.get("value", "from elsewhere") for item in _container(objects)["env"]},
        "DCRX_KV_SECRET_KEY": "k" * 64,
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }
    if "DCRX_KV_CLUSTER_JOB_TEMPLATE" in environment:
        file = tmp_path / "job.yaml"
        file.write_text(objects["ConfigMap", f"{NAME}-builds"]["data"]["job.yaml"])
        environment["DCRX_KV_CLUSTER_JOB_TEMPLATE"] = str(file)
    settings = read_settings(environment)

    assert settings.builds == values.get("builds.mode", "local")
    assert settings.database_host == values.get("database.host", f"{NAME}-postgresql")


def test_no_secret_of_the_user_can_come_into_the_manifests(helm: Helm) -> None:
    """They are named, not given; the try-out's password is made by the chart and stands in a Secret alone."""
    objects = helm.objects(EVERYTHING)
    password = objects["Secret", f"{NAME}-postgresql"]["data"]["password"]

    assert sum(password in json.dumps(item) for item in objects.values()) == 1
    assert [name for kind, name in objects if kind == "Secret"] == [f"{NAME}-postgresql"]
    refused = helm.run("template", NAME, str(CHART), "--set", "settings.DCRX_KV_SECRET_KEY=canary")
    assert refused.returncode != 0
    assert "existingSecret" in refused.stderr
    assert "canary" not in refused.stderr


def test_every_mount_has_its_volume(helm: Helm) -> None:
    for values in ({}, EVERYTHING, IN_CLUSTER):
        objects = helm.objects(values)
        pods = [
            item["spec"]["template"]["spec"]
            for item in objects.values()
            if "template" in item.get("spec", {})
        ]
        for pod in [*pods, *([_job(objects)["spec"]["template"]["spec"]] if values else [])]:
            mounted = [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]
            assert sorted(mounted) == sorted(volume["name"] for volume in pod["volumes"])


def test_service_and_builds_share_the_volume_of_uploads(helm: Helm) -> None:
    objects = helm.objects({**IN_CLUSTER, "uploads.existingClaim": "large-files"})
    folder = objects["ConfigMap", f"{NAME}-settings"]["data"]["DCRX_KV_UPLOAD_DIR"]

    for pod in (
        objects["Deployment", NAME]["spec"]["template"]["spec"],
        _job(objects)["spec"]["template"]["spec"],
    ):
        (volume,) = (item["name"] for item in pod["volumes"] if "persistentVolumeClaim" in item)
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts[volume] == folder


def test_what_the_service_keeps_is_less_than_its_pod_may_write(helm: Helm) -> None:
    """A pod that writes more is evicted by the kubelet; the service itself says no."""
    objects = helm.objects({})
    settings = read_settings(
        {"DCRX_KV_SECRET_KEY": "x" * 32, **objects["ConfigMap", f"{NAME}-settings"]["data"]}
    )
    volumes = objects["Deployment", NAME]["spec"]["template"]["spec"]["volumes"]
    (limit,) = (item["emptyDir"]["sizeLimit"] for item in volumes if item["name"] == "builds")

    assert settings.cache_bytes + settings.upload_total_bytes < int(limit.removesuffix("Gi")) * 1024**3


@pytest.mark.parametrize(
    ("values", "port"),
    [
        ({}, 5432),
        ({"database.type": "mysql"}, 3306),
        ({"database.type": "mysql", "database.port": "3307"}, 3307),
    ],
)
def test_the_way_to_the_database_is_open(helm: Helm, values: dict[str, str], port: int) -> None:
    elsewhere = {"database.tryOut.enabled": "false", "database.host": "db.example.com"}
    objects = helm.objects({**elsewhere, **values})
    egress = objects["NetworkPolicy", f"{NAME}-service"]["spec"]["egress"]

    assert objects["ConfigMap", f"{NAME}-settings"]["data"]["DCRX_KV_DATABASE_PORT"] == str(port)
    assert {"ports": [{"protocol": "TCP", "port": port}]} in egress


def test_changed_settings_make_new_pods(helm: Helm) -> None:
    def annotations(values: dict[str, str]) -> dict[str, str]:
        found: dict[str, str] = helm.objects(values)["Deployment", NAME]["spec"]["template"]["metadata"][
            "annotations"
        ]
        return found

    before = annotations(IN_CLUSTER)
    assert annotations(IN_CLUSTER) == before
    assert annotations({**IN_CLUSTER, "registry.uri": "https://other.example.com/x"}) != before
    assert annotations({**IN_CLUSTER, "builds.ttlSecondsAfterFinished": "5"}) != before


def test_the_ingress_has_tls_and_large_bodies_and_no_buffer(helm: Helm) -> None:
    ingress = helm.objects(EVERYTHING)["Ingress", NAME]

    assert ingress["spec"]["tls"] == [{"hosts": ["images.example.com"], "secretName": "images-tls"}]
    assert ingress["spec"]["rules"][0]["host"] == "images.example.com"
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    other = helm.objects({"ingress.className": "alb"})["Ingress", NAME]
    assert other["spec"]["ingressClassName"] == "alb"


def test_what_is_turned_off_leaves_no_trace(helm: Helm) -> None:
    parts = (
        "ingress.enabled",
        "networkPolicy.enabled",
        "podDisruptionBudget.enabled",
        "serviceAccount.create",
    )
    off = dict.fromkeys(parts, "false")
    kinds = sorted(kind for kind, _ in helm.objects({**OWN_DATABASE, **off}))

    assert kinds == ["ConfigMap", "Deployment", "Pod", "Service"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"database.tryOut.enabled": "false"}, "database.host"),
        ({"database.host": "db"}, "database.tryOut.enabled"),
        ({"database.type": "mysql"}, "database.tryOut"),
        ({"builds.commands": "true"}, "builds.mode"),
        ({"ingress.tlsSecretName": "tls"}, "ingress.host"),
        ({"settings.DCRX_KV_DATABASE_PASSWORD": "x"}, "existingSecret"),
    ],
)
def test_values_that_exclude_each_other_are_refused_by_name(
    helm: Helm, values: dict[str, str], named: str
) -> None:
    done = helm.run("template", NAME, str(CHART), *options(values))

    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("replicas", "0"),
        ("replica", "3"),
        ("existingSecret", "No Name"),
        ("image.uri", ""),
        ("settings.PATH", "/bin"),
        ("database.type", "sqlite"),
        ("builds.mode", "docker"),
        ("builds.maxJobs", "0"),
        ("builds.startTimeout", "soon"),
        ("builds.disk", "much"),
        ("builds.serviceAccount.roleArn", "arn:aws:iam::1:user/x"),
        ("service.port", "70000"),
        ("networkPolicy.ports[0]", "https"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, name: str, value: str) -> None:
    done = helm.run("template", NAME, str(CHART), *options({name: value}))

    assert done.returncode != 0
    assert re.sub(r"\[\d+\]", "", name).rpartition(".")[2] in done.stderr


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


def _container(objects: Objects) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment", NAME]["spec"]["template"]["spec"]["containers"][0]
    return found


def _job(objects: Objects) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(objects["ConfigMap", f"{NAME}-builds"]["data"]["job.yaml"])
    return found


def _without_password(objects: Objects) -> Objects:
    return {key: value for key, value in objects.items() if key[0] != "Secret"}


def _chart_that_knows(folder: Path, has: tuple[str, ...]) -> Path:
    """A copy of the chart whose templates see these API versions only."""
    for source in sorted(CHART.rglob("*")):
        if source.is_file():
            copy = folder / source.relative_to(CHART)
            copy.parent.mkdir(parents=True, exist_ok=True)
            known = " ".join(f'"{name}"' for name in has)
            text = source.read_text("utf-8")
            copy.write_text(
                re.sub(r"\.Capabilities\.APIVersions\.Has (\S+)", rf"has \1 (list {known})", text)
            )
    return folder


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
