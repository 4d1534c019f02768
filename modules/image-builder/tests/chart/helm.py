"""The chart through the real helm."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "dcrx-kv"
NAME = "dcrx-kv"
# Builds in the cluster, with all that a user can turn on.
EVERYTHING = {
    "image.uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/builder@sha256:" + "0" * 64,
    "imagePullSecrets[0].name": "registry",
    "administratorSecret": "administrator",
    "registry.uri": "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/teams",
    "settings.DCRX_KV_BUILD_NETWORK": "service",
    "uploads.existingClaim": "uploads",
    "database.tryOut.storage": "1Gi",
    "database.tryOut.storageClass": "gp3",
    "builds.mode": "kubernetes",
    "builds.commands": "true",
    "builds.kueueQueue": "builds",
    "builds.nodeSelector.usage": "builds",
    "builds.tolerations[0].key": "builds",
    "builds.tolerations[0].operator": "Exists",
    "builds.podLabels.team": "platform",
    "builds.podAnnotations.note": "text",
    "builds.serviceAccount.roleArn": "arn:aws:iam::123456789012:role/builds",
    "serviceAccount.roleArn": "arn:aws:iam::123456789012:role/service",
    "service.loadBalancerSourceRanges[0]": "10.0.0.0/8",
    "ingress.host": "images.example.com",
    "ingress.tlsSecretName": "images-tls",
    "trustedProxies": "10.0.0.1",
    "autoscaling.enabled": "true",
    "networkPolicy.clients[0]": "10.0.0.0/8",
    "networkPolicy.extraEgress[0].ports[0].port": "5000",
    "nodeSelector.usage": "services",
    "tolerations[0].key": "services",
    "tolerations[0].operator": "Exists",
    "podAnnotations.note": "text",
}
IN_CLUSTER = {"builds.mode": "kubernetes"}
Objects = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Helm:
    """One version of helm."""

    program: Path

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it; the caller judges how it ended."""
        return subprocess.run([str(self.program), *arguments], capture_output=True, text=True, check=False)

    def template(self, values: dict[str, str], *arguments: str) -> str:
        """The manifests of the chart with these values."""
        done = self.run("template", NAME, str(CHART), "--namespace=images", *arguments, *options(values))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self, values: dict[str, str], *arguments: str) -> Objects:
        """The rendered objects by kind and name."""
        return by_name(self.template(values, *arguments))


def by_name(text: str) -> Objects:
    """The documents of a text by kind and name, of which no two are the same."""
    documents = [document for document in yaml.safe_load_all(text) if document]
    found = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    assert len(found) == len(documents)
    return found


def options(values: dict[str, str]) -> list[str]:
    """Options of helm for values."""
    return [option for name, value in values.items() for option in ("--set", f"{name}={value}")]
