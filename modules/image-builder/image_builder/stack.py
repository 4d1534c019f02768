"""What belongs to one deployment alone: the role of the service's pods, and secrets with random values."""

import hashlib
import json
import re
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from cdk_nag import NagSuppressions
from constructs import Construct

from .module_outputs import ADMINISTRATOR_SECRET_NAME, ROLE_ARN, SECRET_NAME
from .release.environment import named_bases
from .settings import Parameters
from .shared.settings import SeedFarmerSettings

MAX_ROLE_NAME = 64  # characters (IAM user guide, IAM and AWS STS quotas)
HASH_LENGTH = 8
SECRET_LENGTH = 64
ADMINISTRATOR = "admin"

# Amazon ECR user guide, Private registry.
_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr[.-](?P<region>[a-z0-9-]+)\.[^/]+/(?P<name>[a-z0-9/._-]+)"
)
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PUSH = (
    "ecr:CompleteLayerUpload",
    "ecr:CreateRepository",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:TagResource",
    "ecr:UploadLayerPart",
)


class ImageBuilderStack(cdk.Stack):
    """Role, secrets, and the output that SeedFarmer makes the module's metadata."""

    def __init__(
        self,
        scope: Construct,
        *,
        seedfarmer: SeedFarmerSettings,
        parameters: Parameters,
        outputs: Mapping[str, str],
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope,
            seedfarmer.stack_name,
            env=env,
            description=f"Image builder of {seedfarmer.deployment_name}, {seedfarmer.module_name}",
        )
        self._seedfarmer, self._parameters = seedfarmer, parameters
        role = self._role()
        if parameters.release_to_eks and parameters.eks_oidc_arn is None:
            self._associate(role)
        key = self._secret("SecretKey", "secret-key", {}, "DCRX_KV_SECRET_KEY")
        administrator = self._secret(
            "Administrator",
            "administrator",
            {"DCRX_KV_ADMIN_USERNAME": ADMINISTRATOR},
            "DCRX_KV_ADMIN_PASSWORD",
        )
        metadata = {
            **outputs,
            ROLE_ARN: role.role_arn,
            SECRET_NAME: key,
            ADMINISTRATOR_SECRET_NAME: administrator,
        }
        cdk.CfnOutput(self, "metadata", value=self.to_json_string(metadata))

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            role_name=role_name(f"{self._seedfarmer.stack_name}-{self.region}"),
            description="Pods of the image builder and of its builds",
            assumed_by=self._pods_by_irsa() or self._pods_by_pod_identity(),
        )
        policy = iam.Policy(self, "Policy", statements=self._statements(), roles=[role])
        NagSuppressions.add_resource_suppressions(
            policy,
            [
                {
                    "id": "AwsSolutions-IAM5",
                    "reason": "ECR's login has no resource; which images teams ask for, and which public "
                    "images are replicated, is not known beforehand: both begin with a name of this project.",
                }
            ],
        )
        return role

    def _associate(self, role: iam.Role) -> None:
        """Give the service accounts of the cluster the role (EKS user guide, EKS Pod Identity)."""
        for name in self._parameters.service_accounts:
            eks.CfnPodIdentityAssociation(
                self,
                f"Association-{name}",
                cluster_name=str(self._parameters.eks_cluster_name),
                namespace=self._parameters.namespace,
                service_account=name,
                role_arn=role.role_arn,
            )

    def _pods_by_irsa(self) -> iam.IPrincipal | None:
        """The service accounts of one cluster, by its identity provider (EKS user guide, IRSA)."""
        parameters, issuer = self._parameters, self._parameters.oidc_issuer
        if issuer is None or parameters.eks_oidc_arn is None:
            return None
        subjects = [
            f"system:serviceaccount:{parameters.namespace}:{name}" for name in parameters.service_accounts
        ]
        conditions = {"StringEquals": {f"{issuer}:sub": subjects, f"{issuer}:aud": "sts.amazonaws.com"}}
        return iam.WebIdentityPrincipal(parameters.eks_oidc_arn, conditions)

    def _pods_by_pod_identity(self) -> iam.IPrincipal:
        """The service accounts, by the tags of the session (EKS user guide, EKS Pod Identity)."""
        parameters = self._parameters
        tags: dict[str, object] = {
            "aws:SourceAccount": self.account,
            "aws:RequestTag/kubernetes-namespace": parameters.namespace,
            "aws:RequestTag/kubernetes-service-account": parameters.service_accounts,
        }
        if parameters.eks_cluster_name:
            cluster = f"cluster/{parameters.eks_cluster_name}"
            tags["aws:RequestTag/eks-cluster-arn"] = self._regional("eks", cluster)
        service = iam.ServicePrincipal("pods.eks.amazonaws.com", conditions={"StringEquals": tags})
        return iam.SessionTagsPrincipal(service)

    def _statements(self) -> list[iam.PolicyStatement]:
        seedfarmer, parameters = self._seedfarmer, self._parameters
        prefix = parameters.prefix_of_images(seedfarmer.project_name, seedfarmer.deployment_name)
        built = self._regional("ecr", f"repository/{prefix}/*")
        statements = [
            self._allow("LogIn", ["ecr:GetAuthorizationToken"], "*"),
            self._allow("PullBases", _PULL, *self._base_repositories()),
            self._allow("PushImages", (*_PULL, *_PUSH), built),
        ]
        inventory = parameters.replicated_ecr_images_metadata_s3_path
        if inventory:
            path = inventory.removeprefix("s3://")
            statements.append(
                self._allow("ReadInventory", ["s3:GetObject"], f"arn:{self.partition}:s3:::{path}")
            )
        return statements

    def _base_repositories(self) -> list[str]:
        """ARNs: replicated images, whose names begin with the project's, and the named bases."""
        replicated = self._regional("ecr", f"repository/{self._seedfarmer.project_name}-*")
        matches = (_ECR_IMAGE.match(reference) for reference in named_bases(self._parameters).values())
        named = {
            f"arn:{self.partition}:ecr:{match['region']}:{match['account']}:repository/{match['name']}"
            for match in matches
            if match
        }
        return [replicated, *sorted(named)]

    def _secret(self, construct: str, name: str, template: Mapping[str, str], key: str) -> str:
        """Make a secret with one random value; returns its name."""
        seedfarmer = self._seedfarmer
        deployment = f"{seedfarmer.project_name}/{seedfarmer.deployment_name}/{seedfarmer.module_name}"
        full = f"airgap-modules/{deployment}/{name}"
        secret = secretsmanager.Secret(
            self,
            construct,
            secret_name=full,
            description=f"{key} of the image builder",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps(dict(template)),
                generate_string_key=key,
                password_length=SECRET_LENGTH,
                exclude_punctuation=True,
            ),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        NagSuppressions.add_resource_suppressions(
            secret,
            [
                {
                    "id": "AwsSolutions-SMG4",
                    "reason": "A rotated key would sign everybody out and make stored credentials unreadable "
                    "without `image-builder database rotate-keys`; the administrator's password is changed "
                    "in the service. Rotation by a Lambda function would need a network path to both.",
                }
            ],
        )
        return full

    @staticmethod
    def _allow(sid: str, actions: "list[str] | tuple[str, ...]", *resources: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))

    def _regional(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def role_name(name: str) -> str:
    """The name itself; one that is too long for IAM is cut and ends in a hash of the whole."""
    if len(name) <= MAX_ROLE_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: MAX_ROLE_NAME - HASH_LENGTH - 1]}-{digest}"
