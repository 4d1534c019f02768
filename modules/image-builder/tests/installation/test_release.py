"""The chart released by the module: real helm, a real API server; EKS and the rest of AWS are emulated."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import kubernetes
import pytest
from granted import granted_actions, iam_action
from image_builder import cli
from image_builder.installation import helm as helm_module
from image_builder.installation.install import install
from image_builder.installation.uninstall import uninstall

from .support import ACCOUNT, CLUSTER, IMAGE, PREFIX, Eks


def set_values(environment: pytest.MonkeyPatch, **values: object) -> None:
    chosen = {"service": {"type": "ClusterIP"}, **values}
    environment.setenv(f"{PREFIX}CHART_VALUES", json.dumps(chosen))


def annotations(cluster: Eks) -> dict[str, str]:
    found: dict[str, str] = cluster.deployment().spec.template.metadata.annotations
    return found


def test_it_is_installed_left_alone_upgraded_and_removed(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["install"]) == 0

    installed = cluster.deployment()
    assert installed.spec.template.spec.containers[0].image == IMAGE
    assert {"dcrx-kv-secrets", "dcrx-kv-administrator"} <= cluster.secrets()
    assert "installed: dcrx-kv" in capsys.readouterr().out

    assert cli.main(["install"]) == 0
    assert "unchanged: dcrx-kv" in capsys.readouterr().out
    assert cluster.deployment().metadata.resource_version == installed.metadata.resource_version

    set_values(account, replicas=2)
    assert cli.main(["install"]) == 0
    assert cluster.deployment().spec.replicas == 2
    assert "upgraded: dcrx-kv" in capsys.readouterr().out

    assert cli.main(["uninstall"]) == 0
    assert cluster.deployments() == 0
    assert cluster.secrets() == set()
    assert cluster.is_going()
    assert f"deleted: namespace {cluster.namespace}" in capsys.readouterr().out


def test_changed_secrets_make_new_pods(cluster: Eks, helm: Path) -> None:
    assert cli.main(["install"]) == 0
    before = annotations(cluster)["checksum/secrets"]

    password = json.dumps({"DCRX_KV_DATABASE_URI": "postgresql+asyncpg://dcrx:other@db.example.com/dcrx"})
    boto3.client("secretsmanager").put_secret_value(SecretId="database", SecretString=password)
    assert cli.main(["install"]) == 0

    assert annotations(cluster)["checksum/secrets"] != before


def test_an_upgrade_that_fails_is_rolled_back_and_says_why(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["install"]) == 0
    cluster.add_failing_pod()
    set_values(account, replicas=2, nodeSelector={"usage": "no label!"})

    assert cli.main(["install"]) == 1

    said = capsys.readouterr().err
    assert "rolled back to revision 1" in said
    assert "service: ErrImagePull: missing:1: not found" in said
    assert "no label!" in said
    assert cluster.deployment().spec.replicas == 3

    set_values(account, replicas=2)
    assert cli.main(["install"]) == 0
    assert cluster.deployment().spec.replicas == 2


def test_a_first_release_that_fails_is_removed(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_values(account, nodeSelector={"usage": "no label!"})

    assert cli.main(["install"]) == 1

    assert "it was removed again" in capsys.readouterr().err
    assert cluster.deployments() == 0
    assert cli.main(["uninstall"]) == 0
    assert cluster.is_going()


def test_an_upgrade_that_was_killed_is_undone_first(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["install"]) == 0
    leave_pending(cluster)
    set_values(account, replicas=2)

    assert cli.main(["install"]) == 0

    assert "was left pending-upgrade: undone first" in capsys.readouterr().out
    assert cluster.deployment().spec.replicas == 2


def test_a_namespace_that_others_use_is_kept(
    cluster: Eks, helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["install"]) == 0
    cluster.core.create_namespaced_config_map(cluster.namespace, {"metadata": {"name": "of-the-user"}})

    assert cli.main(["uninstall"]) == 0

    assert "which holds ConfigMap/of-the-user" in capsys.readouterr().out
    assert not cluster.is_going()
    assert cluster.deployments() == 0


def test_a_namespace_that_was_there_is_kept(cluster: Eks, helm: Path) -> None:
    cluster.api_server.make_namespace(cluster.namespace)
    assert cli.main(["install"]) == 0

    assert cli.main(["uninstall"]) == 0

    assert not cluster.is_going()
    assert cluster.secrets() == set()


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_what_others_have_installed_is_not_touched(
    cluster: Eks, helm: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    cluster.api_server.make_namespace(cluster.namespace)
    theirs = {"metadata": {"name": "dcrx-kv-secrets"}, "stringData": {"key": "theirs"}}
    made = cluster.core.create_namespaced_secret(cluster.namespace, theirs)

    assert cli.main([command]) == (1 if command == "install" else 0)

    found = cluster.core.read_namespaced_secret("dcrx-kv-secrets", cluster.namespace)
    assert found.metadata.resource_version == made.metadata.resource_version
    if command == "install":
        assert "`namespace`" in capsys.readouterr().err
    assert cluster.deployments() == 0


def test_secrets_stand_in_no_argument_output_or_helms_environment(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []
    popen = helm_module.subprocess.Popen

    def watched(command: list[str], **options: Any) -> object:  # noqa: ANN401  Popen's own
        seen.append([command, options["env"]])
        return popen(command, **options)

    account.setattr(helm_module.subprocess, "Popen", watched)

    assert cli.main(["install"]) == 0

    shown = "".join(capsys.readouterr())
    credentials = str(boto3.Session().get_credentials().secret_key)
    for secret in ("canary-database", "canary-admin", "kkkk", credentials, "k8s-aws-v1"):
        assert secret not in json.dumps(seen) + shown
    assert seen


def test_the_administrators_role_is_assumed(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, administrators: set[str]
) -> None:
    administrators.clear()
    assert cli.main(["install"]) == 1

    only_who_assumes_the_role(account, administrators)
    assert cli.main(["install"]) == 0


def only_who_assumes_the_role(account: pytest.MonkeyPatch, administrators: set[str]) -> boto3.Session:
    """Let those into the cluster who have assumed its administrators' role. The session of the module."""
    account.setenv(f"{PREFIX}EKS_CLUSTER_ADMIN_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/administrator")
    session, real = boto3.Session(), boto3.Session

    def remember(parsed: dict[str, Any], **_: object) -> None:
        administrators.add(parsed["Credentials"]["AccessKeyId"])

    session.events.register("after-call.sts.AssumeRole", remember)
    account.setattr(boto3, "Session", lambda **given: real(**given) if given else session)
    return session


def test_who_is_not_let_in_reads_what_to_do(
    cluster: Eks, helm: Path, administrators: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    administrators.clear()

    assert cli.main(["install"]) == 1

    assert "give `eks-cluster-admin-role-arn`" in capsys.readouterr().err


def test_values_that_the_chart_refuses_stop_the_deployment_before_anything_is_made(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_values(account, replicas="many")

    assert cli.main(["apply"]) == 1

    said = capsys.readouterr().err
    assert "manifest parameter `chart-values`" in said
    assert "replicas" in said
    assert boto3.client("ecr").describe_repositories()["repositories"] == []


@pytest.mark.parametrize("entry", [install, uninstall])
def test_every_call_is_granted_to_the_module_role(
    cluster: Eks, helm: Path, account: pytest.MonkeyPatch, administrators: set[str], entry: Callable[[], int]
) -> None:
    if entry is uninstall:
        assert install() == 0
    administrators.clear()
    called: set[str] = set()
    session = only_who_assumes_the_role(account, administrators)
    session.events.register("before-call.*.*", lambda model, **_: called.add(iam_action(model)))

    assert entry() == 0

    assert called - {"sts:GetCallerIdentity"} <= granted_actions()  # everyone may ask who they are
    assert {"eks:DescribeCluster", "sts:AssumeRole"} <= called


def test_without_the_cluster_there_is_nothing_to_uninstall(
    cluster: Eks, helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("eks").delete_cluster(name=CLUSTER)  # type: ignore[call-overload]

    assert cli.main(["uninstall"]) == 0

    assert f"there is no cluster {CLUSTER}" in capsys.readouterr().out


def leave_pending(cluster: Eks) -> None:
    """What a helm that was killed leaves: a revision that is neither one nor the other."""
    core: kubernetes.client.CoreV1Api = cluster.core
    selector = "owner=helm,name=dcrx-kv"
    (secret,) = core.list_namespaced_secret(cluster.namespace, label_selector=selector).items
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret.data["release"]))))
    release["version"] = 2
    release["info"]["status"] = "pending-upgrade"
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    labels = {**secret.metadata.labels, "version": "2", "status": "pending-upgrade"}
    metadata = {"name": "sh.helm.release.v1.dcrx-kv.v2", "labels": labels}
    body = {"metadata": metadata, "type": secret.type, "data": {"release": packed}}
    core.create_namespaced_secret(cluster.namespace, body)
