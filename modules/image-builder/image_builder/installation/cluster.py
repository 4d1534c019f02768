"""A cluster of EKS, and the token by which it knows us."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.signers import RequestSigner

from ..settings import Parameters
from ..shared.account import Account
from ..shared.errors import UserError

# Amazon EKS best practices, "Cluster authentication", and the README of aws-iam-authenticator: a signed
# request to STS with the cluster's name; the cluster takes it for 15 minutes, however long it was signed for.
TOKEN_PREFIX = "k8s-aws-v1."  # noqa: S105  not a secret
CLUSTER_HEADER = "x-k8s-aws-id"
TOKEN_AGE = 600.0  # seconds after which a new one is made
SIGNED_FOR = 60  # seconds
_SESSION_NAME = "airgap-modules-image-builder"


@dataclass(frozen=True)
class EksCluster:
    """Where a cluster is reached.

    Attributes:
        name: of the cluster.
        endpoint: URL of its API server.
        authority: certificate to trust it by, PEM.
        session: of who may change the cluster.
    """

    name: str
    endpoint: str
    authority: str
    session: boto3.Session

    def token(self) -> str:
        """A token that the cluster takes for a quarter of an hour."""
        sts, credentials = self.session.client("sts"), self.session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        signer = RequestSigner(
            sts.meta.service_model.service_id,
            sts.meta.region_name,
            "sts",
            "v4",
            credentials,
            self.session.events,
        )
        request = {
            "method": "GET",
            "url": f"{_regional_endpoint(self.session)}/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {CLUSTER_HEADER: self.name},
            "context": {},
        }
        url = signer.generate_presigned_url(
            request, region_name=sts.meta.region_name, expires_in=SIGNED_FOR, operation_name=""
        )
        return TOKEN_PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def find_cluster(session: boto3.Session, parameters: Parameters) -> EksCluster | None:
    """The cluster that the parameters name; None when it is not there.

    Raises:
        UserError: it is not ready, or its administrators' role cannot be assumed.
    """
    name = str(parameters.eks_cluster_name)
    # The stubs of EKS are no dependency: one call is not worth it.
    eks: Any = session.client("eks")
    try:
        found = eks.describe_cluster(name=name)["cluster"]
    except eks.exceptions.ResourceNotFoundException:
        return None
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"].get("Code", ""):
            raise
        raise UserError(
            f"manifest parameter `eks-cluster-name`: the module's role may not describe {name}; a manifest "
            'has `release-to-eks` as the text `"true"`, in quotes, for the role to get it'
        ) from None
    if found["status"] not in ("ACTIVE", "UPDATING"):
        raise UserError(
            f"manifest parameter `eks-cluster-name`: the cluster {name} is {found['status']}, not ACTIVE"
        )
    try:
        authority = base64.b64decode(found["certificateAuthority"]["data"], validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise UserError(
            f"manifest parameter `eks-cluster-name`: EKS gives no certificate of the cluster {name}"
        ) from None
    return EksCluster(name, found["endpoint"], authority, _administrator(session, parameters))


def _administrator(session: boto3.Session, parameters: Parameters) -> boto3.Session:
    """The session itself, or that of `eks-cluster-admin-role-arn`, which lasts an hour."""
    role = parameters.eks_cluster_admin_role_arn
    if role is None:
        return session
    try:
        answer = session.client("sts").assume_role(RoleArn=role, RoleSessionName=_SESSION_NAME)
    except ClientError as error:
        reason = error.response["Error"].get("Message", "")
        raise UserError(
            f"manifest parameter `eks-cluster-admin-role-arn`: {role} cannot be assumed: {reason}"
        ) from None
    credentials = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=session.region_name,
    )


def _regional_endpoint(session: boto3.Session) -> str:
    """URL of the region's STS, which the cluster asks; an override in the environment does not count."""
    region = str(session.region_name)
    return f"https://sts.{region}.{Account.named(session, '', region).dns_suffix}"
