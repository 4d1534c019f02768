"""`install`: the chart on the cluster, with what the stack has made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3

from ..module_outputs import ADMINISTRATOR_SECRET_NAME, ENVIRONMENT, IMAGE_DIGEST_URI, ROLE_ARN, SECRET_NAME
from ..release.chart import read_chart
from ..release.image import MODULE
from ..settings import Parameters
from ..shared.errors import UserError
from ..shared.settings import SeedFarmerSettings, load
from .cluster import EksCluster, find_cluster
from .helm import RELEASE, Helm, HelmError, Revision, as_user_error, check_chart, helm_with
from .helm_program import helm_program
from .kubernetes import Namespace, opened
from .owner import owner_of
from .secrets import database_variables, read_secret
from .values import ADMINISTRATOR, SECRETS, Values, chart_values, checksum_of, inputs_digest

CHART = MODULE / "helm" / "dcrx-kv"
# Written by the deployspec's `cdk deploy`.
EXPORTS = Path("cdk-exports.json")
KEY = "DCRX_KV_SECRET_KEY"
_SOUND = ("deployed", "superseded")
_VALUES = "chart-values"
# Stand for what the module has not made yet.
_PLACEHOLDERS = {ENVIRONMENT: "{}", IMAGE_DIGEST_URI: "image", ROLE_ARN: "role"}


def install() -> int:
    """Install or upgrade the chart, when the parameters ask for it; a failed upgrade is rolled back."""
    seedfarmer, parameters = load(Parameters)
    if not parameters.release_to_eks:
        print("the chart is not installed (`release-to-eks` is not true)")
        return 0
    session = boto3.Session()
    outputs = _outputs(seedfarmer)
    secrets = session.client("secretsmanager")
    key = read_secret(secrets, outputs[SECRET_NAME])
    database = database_variables(secrets, parameters.database_secret_name)
    content = {
        SECRETS: {KEY: key[KEY], **database},
        ADMINISTRATOR: read_secret(secrets, outputs[ADMINISTRATOR_SECRET_NAME]),
    }
    values = chart_values(parameters, outputs, database, checksum_of(content, key[KEY]))
    cluster = required_cluster(session, parameters)
    with (
        helm_program(parameters) as program,
        opened(cluster, parameters.namespace, owner_of(seedfarmer)) as namespace,
        helm_with(program, cluster, namespace.name, parameters.release_timeout_minutes) as helm,
    ):
        _Installation(namespace, helm).run(content, values)
    return 0


def check_release(session: boto3.Session, seedfarmer: SeedFarmerSettings, parameters: Parameters) -> None:
    """Find out what would stop `install`, before anything is made.

    Raises:
        UserError: values, helm, database or cluster are not as the parameters say.
    """
    database = database_variables(session.client("secretsmanager"), parameters.database_secret_name)
    cluster = required_cluster(session, parameters)
    with opened(cluster, parameters.namespace, owner_of(seedfarmer)) as namespace:
        _check_owner(namespace)
    with helm_program(parameters) as program:
        try:
            check_chart(program, CHART, chart_values(parameters, _PLACEHOLDERS, database, "checksum"))
        except HelmError as error:
            raise as_user_error(_VALUES, error) from None


def required_cluster(session: boto3.Session, parameters: Parameters) -> EksCluster:
    """The cluster that the parameters name.

    Raises:
        UserError: it is not there or not ready, or nobody lets us in.
    """
    cluster = find_cluster(session, parameters)
    if cluster is None:
        name, region = parameters.eks_cluster_name, session.region_name
        raise UserError(f"manifest parameter `eks-cluster-name`: there is no cluster {name} in {region}")
    return cluster


@dataclass(frozen=True)
class _Installation:
    """One run of `install`."""

    namespace: Namespace
    helm: Helm

    def run(self, secrets: Mapping[str, Mapping[str, str]], values: Values) -> None:
        _check_owner(self.namespace)
        self.namespace.ensure()
        for name, content in secrets.items():
            self.namespace.put_secret(name, content)
        description = f"airgap-modules {inputs_digest(read_chart(CHART).manifest.digest, values)}"
        try:
            history = self._repaired()
            last = history[-1] if history else None
            if last and (last.status, last.description) == ("deployed", description):
                print(f"unchanged: {RELEASE} in {self.namespace.name}, revision {last.number}")
                return
            self.helm.upgrade(CHART, values, description)
        except HelmError as error:
            raise UserError(self._gone_wrong(str(error))) from None
        done = "upgraded" if last else "installed"
        print(f"{done}: {RELEASE} in {self.namespace.name} of cluster {self.helm.cluster.name}")

    def _repaired(self) -> list[Revision]:
        """The release's revisions, after a run that was killed was undone."""
        history = self.helm.history()
        if history and history[-1].status.startswith(("pending-", "uninstalling")):
            print(f"revision {history[-1].number} of {RELEASE} was left {history[-1].status}: undone first")
            self._undo(history)
            return self.helm.history()
        return history

    def _gone_wrong(self, said: str) -> str:
        """The message for a change that failed, after it was undone."""
        pods = self.namespace.pod_problems(RELEASE)
        reason = "; ".join([said, *pods])
        try:
            undone = self._undo(self.helm.history())
        except HelmError as error:
            undone = f"and undoing it failed too ({error}): see Upgrade and rollback in the chart's README"
        return f"{RELEASE} cannot be installed in {self.namespace.name}: {reason}; {undone}"

    def _undo(self, history: list[Revision]) -> str:
        """Back to the newest sound revision; without one, the release is removed. What was done."""
        if not history or history[-1].status == "deployed":
            return "nothing was changed"
        sound = [revision for revision in history if revision.status in _SOUND]
        if not sound:
            self.helm.uninstall()
            return "it was removed again"
        self.helm.rollback(sound[-1].number)
        return f"it was rolled back to revision {sound[-1].number}"


def _check_owner(namespace: Namespace) -> None:
    for secret in (SECRETS, ADMINISTRATOR):
        if namespace.is_ours(secret) is False:
            raise UserError(
                f"manifest parameter `namespace`: {namespace.name} has a secret {secret} that others have "
                "made: remove what is installed there, or name another namespace"
            )


def _outputs(seedfarmer: SeedFarmerSettings) -> Mapping[str, str]:
    """The module's outputs, as the stack has just put them out."""
    try:
        exports = json.loads(EXPORTS.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no {EXPORTS}: `install` comes after `cdk deploy`") from None
    outputs: dict[str, str] = json.loads(exports[seedfarmer.stack_name]["metadata"])
    return outputs
