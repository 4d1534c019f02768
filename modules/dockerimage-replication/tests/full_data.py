"""Data files of the size of the public ones: 20 charts with 69 images, and charts that fit them.

The counts are those of the public data at its newest: of 69 images 31 have a registry of their own in
the values, 7 a literal repository, 1 no tag, 28 a tag from the chart's metadata, 3 a digest to remove.
"""

from typing import Any

from dockerimage_replication import datafiles
from dockerimage_replication.charts.fetched import FetchedChart
from dockerimage_replication.datafiles import DataFiles
from dockerimage_replication.schema import DefaultFile, VersionFile
from replication_support import fetched_chart

# Workload, chart, its repository, and how many images it has.
CHARTS = [
    ("alb_controller", "aws-load-balancer-controller", "https://aws.github.io/eks-charts", 1),
    ("calico", "tigera-operator", "https://docs.tigera.io/calico/charts", 9),
    ("cert_manager", "cert-manager", "https://charts.jetstack.io", 5),
    ("cluster_autoscaler", "cluster-autoscaler", "https://kubernetes.github.io/autoscaler", 1),
    ("ebs_csi_driver", "aws-ebs-csi-driver", "https://kubernetes-sigs.github.io/aws-ebs-csi-driver", 8),
    ("efs_csi_driver", "aws-efs-csi-driver", "https://kubernetes-sigs.github.io/aws-efs-csi-driver", 4),
    ("external_dns", "external-dns", "https://kubernetes-sigs.github.io/external-dns", 1),
    ("external_secrets", "external-secrets", "https://charts.external-secrets.io", 1),
    ("fluent_bit", "aws-for-fluent-bit", "https://aws.github.io/eks-charts", 1),
    ("fsx_csi_driver", "aws-fsx-csi-driver", "https://kubernetes-sigs.github.io/aws-fsx-csi-driver", 5),
    ("grafana", "grafana", "https://grafana.github.io/helm-charts", 5),
    ("kured", "kured", "https://kubereboot.github.io/charts", 1),
    ("kyverno", "kyverno", "https://kyverno.github.io/kyverno", 8),
    ("kyverno_policy_reporter", "policy-reporter", "https://kyverno.github.io/policy-reporter", 4),
    ("metrics_server", "metrics-server", "https://kubernetes-sigs.github.io/metrics-server", 2),
    ("nginx_controller", "ingress-nginx", "https://kubernetes.github.io/ingress-nginx", 4),
    ("node_problem_detector", "node-problem-detector", "oci://ghcr.io/deliveryhero/helm-charts", 1),
    ("prometheus_stack", "prometheus", "https://prometheus-community.github.io/helm-charts", 6),
    ("secrets_manager_csi", "secrets-store-csi-driver", "https://kubernetes-sigs.github.io/secrets-store", 1),
    ("vpc_cni", "aws-vpc-cni", "https://aws.github.io/eks-charts", 1),
]
_REGISTRIES = ["quay.io", "registry.k8s.io", "ghcr.io", "public.ecr.aws", "docker.io"]


def full_data() -> tuple[DataFiles, dict[str, FetchedChart]]:
    """Data files, and the chart of each workload."""
    entries, charts = {}, {}
    counter = iter(range(1_000))
    for workload, chart, repository, count in CHARTS:
        images: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for position in range(count):
            number = next(counter)
            name = f"{chart}-component-{position}"
            images[f"{workload}_component_{position}"], values[f"component{position}"] = _image(number, name)
        entries[workload] = {
            "name": chart,
            "repository": repository,
            "version": "1.2.3",
            "images": images,
            "values": {"resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}},
        }
        charts[workload] = fetched_chart(chart, "1.2.3", values=values, appVersion="4.5.6")
    data, problems = datafiles.combined(
        DefaultFile.model_validate({"charts": entries}), VersionFile(), "1.33"
    )
    assert not problems
    return data, charts


def _image(number: int, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entry of an image, and the values that it refers to."""
    path = f"component{name.rpartition('-')[2]}.image"
    registry = _REGISTRIES[number % len(_REGISTRIES)]
    entry: dict[str, Any] = {}
    values: dict[str, Any] = {"tag": f"v{number}.0.0", "digest": f"sha256:{'a' * 64}"}
    if number < 31:
        entry["registry"] = {"location": "values", "path": f"{path}.registry"}
        values |= {"registry": registry, "repository": f"organisation/{name}"}
    else:
        values["repository"] = f"{registry}/organisation/{name}"
    if number < 7:
        entry["repository"] = {"name": values.pop("repository")}
    else:
        entry["repository"] = {"location": "values", "path": f"{path}.repository"}
    if number < 28:
        entry["tag"] = {"location": "chart", "path": "appVersion", "prefix": "v"}
    elif number < 68:
        entry["tag"] = {"location": "values", "path": f"{path}.tag"}
    if number < 3:
        entry["remove"] = {"path": f"{path}.digest"}
    return entry, {"image": values}
