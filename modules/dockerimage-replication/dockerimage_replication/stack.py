"""What belongs to one deployment: the right to read its inventory and to pull what was replicated."""

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from cdk_nag import NagPackSuppression, NagSuppressions
from constructs import Construct

from .module_outputs import inventory_key
from .shared.account import Account
from .shared.metadata_bucket import bucket_name
from .shared.ownership import PROJECT_TAG
from .shared.settings import SeedFarmerSettings

MAX_POLICY_NAME = 128  # characters (IAM user guide, IAM and AWS STS quotas)
_HASH_LENGTH = 8

_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


class ReplicationStack(cdk.Stack):
    """A managed policy for roles that pull: of cluster nodes, or of builds."""

    def __init__(self, scope: Construct, seedfarmer: SeedFarmerSettings, env: cdk.Environment) -> None:
        super().__init__(
            scope,
            seedfarmer.stack_name,
            env=env,
            description=f"Replicated images of {seedfarmer.deployment_name}, {seedfarmer.module_name}",
        )
        policy = iam.ManagedPolicy(
            self,
            "PullPolicy",
            managed_policy_name=policy_name(seedfarmer, self.region),
            description="Read the inventory of replicated images, and pull them",
            statements=[self._inventory(seedfarmer), self._login(), self._pull(seedfarmer.project_name)],
        )
        _suppress_wildcards(policy, seedfarmer.project_name)

    def _inventory(self, seedfarmer: SeedFarmerSettings) -> iam.PolicyStatement:
        account = Account(self.account, self.region, self.partition, self.url_suffix)
        bucket = bucket_name(seedfarmer.project_name, account)
        key = inventory_key(seedfarmer.deployment_name, seedfarmer.module_name)
        return iam.PolicyStatement(
            sid="ReadInventory",
            actions=["s3:GetObject"],
            resources=[f"arn:{self.partition}:s3:::{bucket}/{key}"],
        )

    def _login(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="LogInToRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]
        )

    def _pull(self, project: str) -> iam.PolicyStatement:
        """`idf-*` is also how `idf-other-…` begins: what carries another project's tag is left out.

        All three actions take the condition (Service Authorization Reference, Amazon ECR: their
        resource type is the repository, which has aws:ResourceTag). Repositories without the tag pass,
        for those that were there before are used as they are.
        """
        return iam.PolicyStatement(
            sid="PullReplicated",
            actions=_PULL,
            resources=[
                f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{project}-*",
            ],
            conditions={"StringEqualsIfExists": {f"aws:ResourceTag/{PROJECT_TAG}": project}},
        )


def policy_name(seedfarmer: SeedFarmerSettings, region: str) -> str:
    """`{project}-{deployment}-{module}-{region}-pull`; cut and ended with a hash where IAM has no room."""
    name = f"{seedfarmer.stack_name}-{region}-pull"
    if len(name) <= MAX_POLICY_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: MAX_POLICY_NAME - _HASH_LENGTH - 1]}-{digest}"


def _suppress_wildcards(policy: iam.ManagedPolicy, project: str) -> None:
    NagSuppressions.add_resource_suppressions(
        policy,
        [
            NagPackSuppression(
                id="AwsSolutions-IAM5",
                reason="ecr:GetAuthorizationToken has no resource: AWS takes only * for it.",
                applies_to=["Resource::*"],
            ),
            NagPackSuppression(
                id="AwsSolutions-IAM5",
                reason="The project's repositories are made while the module runs, one per image, so the "
                "stack cannot list them; the project's prefix is the narrowest resource that holds.",
                applies_to=[{"regex": f"/^Resource::arn:.*:repository\\/{project}-\\*$/g"}],
            ),
        ],
    )
