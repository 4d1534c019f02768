"""The module's chart through the real helm."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "chart"
# The least that a user has to say.
REQUIRED = {
    "image.uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/dcv@sha256:" + "0" * 64,
    "region": "us-east-1",
    "tls.secretName": "dcv-tls",
}
# Everything that a user can turn on, at once.
EVERYTHING = {
    **REQUIRED,
    "serviceAccount.roleArn": "arn:aws:iam::123456789012:role/dcv",
    "ssm.displayParameter": "/idf/prod/desktops-dcv/dcv-display",
    "service.type": "LoadBalancer",
    "service.annotations.service\\.beta\\.kubernetes\\.io/aws-load-balancer-scheme": "internal",
    "service.loadBalancerSourceRanges[0]": "10.0.0.0/8",
    "networkPolicy.clients[0]": "10.0.0.0/8",
    "podDisruptionBudget.enabled": "true",
    "gpu.count": "1",
    "gpu.runtimeClassName": "nvidia",
    "homes.persistentVolumeClaim": "homes",
    "nodeSelector.usage": "gpu",
    "tolerations[0].key": "nvidia.com/gpu",
    "tolerations[0].operator": "Exists",
    "extraEnv[0].name": "EXTRA",
    "extraEnv[0].value": "1x",
    "extraVolumes[0].name": "data",
    "extraVolumes[0].emptyDir.sizeLimit": "1Gi",
    "extraVolumeMounts[0].name": "data",
    "extraVolumeMounts[0].mountPath": "/data",
    "imagePullSecrets[0].name": "registry",
    "podAnnotations.note": "text",
}


@dataclass(frozen=True)
class Helm:
    """One version of helm."""

    program: Path

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it; the caller judges how it ended."""
        return subprocess.run([str(self.program), *arguments], capture_output=True, text=True, check=False)

    def template(self, values: dict[str, str], *arguments: str) -> str:
        """The manifests of the chart with these values."""
        done = self.run("template", "dcv", str(CHART), "--namespace=dcv", *arguments, *settings(values))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self, values: dict[str, str]) -> dict[str, Any]:
        """The rendered objects by kind; the chart has one of each."""
        documents = [document for document in yaml.safe_load_all(self.template(values)) if document]
        found = {document["kind"]: document for document in documents}
        assert len(found) == len(documents)
        return found


def settings(values: dict[str, str]) -> list[str]:
    """Options of helm for values."""
    return [option for name, value in values.items() for option in ("--set", f"{name}={value}")]
