"""Charts, rendered with the values that the cluster will install them with."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..resolve import ResolvedChart
from ..values import Values, merged
from .process import HelmError, run_helm
from .program import Helm

CONCURRENCY = 4  # runs of helm at a time; each keeps about one core busy

# Charts ask which APIs a cluster has, and leave objects out that it could not take. These are what
# clusters have beyond Kubernetes itself; helm knows that one's own.
API_VERSIONS = (
    "acme.cert-manager.io/v1",
    "cert-manager.io/v1",
    "cert-manager.io/v1/Certificate",
    "cert-manager.io/v1/ClusterIssuer",
    "cert-manager.io/v1/Issuer",
    "cilium.io/v2",
    "crd.projectcalico.org/v1",
    "external-secrets.io/v1",
    "external-secrets.io/v1beta1",
    "gateway.networking.k8s.io/v1",
    "gateway.networking.k8s.io/v1beta1",
    "karpenter.sh/v1",
    "keda.sh/v1alpha1",
    "kyverno.io/v1",
    "monitoring.coreos.com/v1",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "networking.istio.io/v1",
    "operator.tigera.io/v1",
    "operator.tigera.io/v1/Installation",
    "policy.networking.k8s.io/v1alpha1",
    "secrets-store.csi.x-k8s.io/v1",
    "snapshot.storage.k8s.io/v1",
    "vpcresources.k8s.aws/v1beta1",
    "wgpolicyk8s.io/v1alpha2",
)


async def render(
    helm: Helm, charts: Sequence[ResolvedChart], eks_version: str
) -> dict[str, bytes | HelmError]:
    """What `helm template` makes of each chart, by its workload; or why it makes nothing."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def one(number: int, chart: ResolvedChart) -> bytes | HelmError:
        async with slots:
            home = helm.folder / f"render-{number}"
            await asyncio.to_thread(_write, home, chart)
            try:
                return await run_helm(helm.program, _arguments(eks_version), home)
            except HelmError as error:
                return error

    outputs = await asyncio.gather(*(one(number, chart) for number, chart in enumerate(charts)))
    return {chart.workload.key: output for chart, output in zip(charts, outputs, strict=True)}


def installed_values(chart: ResolvedChart) -> Values:
    """The values of the inventory over those that the installing module sets itself.

    It hands the registry of Calico's operator on to the installation, in which the operator composes
    the names of all its images.
    """
    operator = chart.values.get("tigeraOperator")
    registry = operator.get("registry") if isinstance(operator, Mapping) else None
    own: Values = {"installation": {"registry": registry}} if registry else {}
    return merged(merged(chart.workload.render_values, own), chart.values)


def _write(home: Path, chart: ResolvedChart) -> None:
    home.mkdir()
    (home / "chart.tgz").write_bytes(chart.fetched.archive)
    values = json.dumps(installed_values(chart), default=str)
    (home / "values.json").write_text(values, encoding="utf-8")


def _arguments(eks_version: str) -> list[str]:
    options = ["--namespace", "default", "--include-crds", "--kube-version", f"{eks_version}.0"]
    for version in API_VERSIONS:
        options += ["--api-versions", version]
    return ["template", "release", "chart.tgz", "--values", "values.json", *options]
