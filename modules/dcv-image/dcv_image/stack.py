"""What belongs to one deployment alone: the policy that the DCV pod's role needs."""

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from cdk_nag import NagSuppressions
from constructs import Construct

from .settings import Parameters
from .shared.settings import SeedFarmerSettings

MAX_POLICY_NAME = 128  # characters (IAM user guide, IAM and AWS STS quotas)
HASH_LENGTH = 8
# What the session publishes, below the path of this deployment's module.
PARAMETERS = ("dcv-display", "dcv-socket-mount-path")
ARN_SUFFIX = "-??????"  # Secrets Manager ends a secret's ARN with six random characters


class RuntimePolicyStack(cdk.Stack):
    """Holds the managed policy; its ARN is an output, so that any role can be given it."""

    def __init__(
        self, scope: Construct, seedfarmer: SeedFarmerSettings, parameters: Parameters, env: cdk.Environment
    ) -> None:
        super().__init__(scope, seedfarmer.stack_name, env=env)
        policy = iam.ManagedPolicy(
            self,
            "RuntimePolicy",
            managed_policy_name=policy_name(f"{seedfarmer.stack_name}-{self.region}-runtime"),
            description="What the pod of the Amazon DCV session image may do",
            statements=[
                self._allow(
                    "ReadSessionCredentials",
                    ["secretsmanager:GetSecretValue"],
                    self._regional("secretsmanager", f"secret:{parameters.dcv_sm_name}{ARN_SUFFIX}"),
                ),
                self._allow(
                    "PublishDisplay",
                    ["ssm:GetParameters", "ssm:PutParameter"],
                    *(
                        self._regional("ssm", f"parameter/{self._parameter_path(seedfarmer)}/{name}")
                        for name in PARAMETERS
                    ),
                ),
                self._allow(
                    "ReadDcvLicence",
                    ["s3:GetObject"],
                    f"arn:{self.partition}:s3:::dcv-license.{self.region}/*",
                ),
            ],
        )
        self.policy_arn = policy.managed_policy_arn
        NagSuppressions.add_resource_suppressions(
            policy,
            [
                {
                    "id": "AwsSolutions-IAM5",
                    "reason": "The DCV server reads its EC2 licence from AWS's own bucket of the region and "
                    "the object's name is not documented.",
                    "appliesTo": [{"regex": r"/^Resource::arn:.*:s3:::dcv-license\.[^*]+\/\*$/"}],
                },
            ],
        )

    @staticmethod
    def _parameter_path(seedfarmer: SeedFarmerSettings) -> str:
        return f"{seedfarmer.project_name}/{seedfarmer.deployment_name}/{seedfarmer.module_name}"

    @staticmethod
    def _allow(sid: str, actions: list[str], *resources: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(sid=sid, actions=actions, resources=list(resources))

    def _regional(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def policy_name(name: str) -> str:
    """The name itself; one that is too long for IAM is cut and ends in a hash of the whole."""
    if len(name) <= MAX_POLICY_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: MAX_POLICY_NAME - HASH_LENGTH - 1]}-{digest}"
