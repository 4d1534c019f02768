"""`uninstall`: what `install` has made is removed, before the stack with its role goes."""

import boto3

from ..settings import Parameters
from ..shared.errors import UserError
from ..shared.settings import load
from .cluster import EksCluster, find_cluster
from .helm import RELEASE, HelmError, helm_with
from .helm_program import helm_program
from .kubernetes import Namespace, opened
from .owner import owner_of
from .values import ADMINISTRATOR, SECRETS


def uninstall() -> int:
    """Remove the release, its secrets, and the namespace when it was made for it and holds nothing else."""
    seedfarmer, parameters = load(Parameters)
    if not parameters.release_to_eks:
        print("nothing to uninstall (`release-to-eks` is not true)")
        return 0
    cluster = find_cluster(boto3.Session(), parameters)
    if cluster is None:
        print(f"nothing to uninstall: there is no cluster {parameters.eks_cluster_name}")
        return 0
    with opened(cluster, parameters.namespace, owner_of(seedfarmer)) as namespace:
        _remove(namespace, cluster, parameters)
    return 0


def _remove(namespace: Namespace, cluster: EksCluster, parameters: Parameters) -> None:
    if not namespace.exists():
        print(f"nothing to uninstall: there is no namespace {namespace.name}")
        return
    # It is made before the release, and removed after it.
    if namespace.is_ours(SECRETS):
        _uninstall_release(namespace, cluster, parameters)
    namespace.delete_secret(ADMINISTRATOR)
    namespace.delete_secret(SECRETS)
    print(namespace.delete_if_ours_and_empty())


def _uninstall_release(namespace: Namespace, cluster: EksCluster, parameters: Parameters) -> None:
    minutes = parameters.release_timeout_minutes
    with (
        helm_program(parameters) as program,
        helm_with(program, cluster, namespace.name, minutes) as helm,
    ):
        try:
            if helm.history():
                helm.uninstall()
                print(f"uninstalled: {RELEASE} in {namespace.name}")
        except HelmError as error:
            raise UserError(
                f"{RELEASE} cannot be removed from {namespace.name}: {error}; run again, "
                "`release-timeout-minutes` says how long it may take"
            ) from None
