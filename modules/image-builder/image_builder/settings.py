"""The module's parameters."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from .shared.settings import CommonParameters
from .shared_build.names import checked_image_reference, checked_inventory_path, checked_repository_name
from .shared_build.texts import checked_url, names_in

DEFAULT_BASE_IMAGE = "docker.io/library/debian:12-slim"
NOTHING = "names nothing"

# RFC 1123 labels, as Kubernetes names namespaces and service accounts.
_KUBERNETES_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # Amazon EKS API reference, CreateCluster
_OIDC_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:oidc-provider/(?P<issuer>[^\s/]+/\S+)")
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+")
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")  # AWS Secrets Manager API reference, CreateSecret
# Values of the chart that follow from what the module has made.
_MADE_BY_THE_MODULE = (("image", "uri"), ("existingSecret",), ("administratorSecret",))
_DESKTOP = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


class Parameters(CommonParameters):
    """What a manifest can say about the build service."""

    ecr_repository_name: str | None = Field(
        default=None,
        description="Name of the ECR repository of the service's own image; its Helm chart lies in "
        "`<name>/dcrx-kv`. Without it, `<project>-image-builder`. Both are made when they do not exist.",
    )
    images_prefix: str | None = Field(
        default=None,
        description="What the names of the repositories of built images begin with: `<prefix>/<name of the "
        "image>`. Without it, `<project>-<deployment>-images`. The service makes them as they are asked for.",
    )
    replicated_ecr_images_metadata_s3_path: str | None = Field(
        default=None,
        description="`S3FullPath` of `dockerimage-replication` (`bucket/key`). With it, public bases are "
        "taken from their private copies, those of builds as well as that of the service's own image.",
    )
    dcv_image_uri: str | None = Field(
        default=None,
        description="`DCVImageUri` or `DCVImageDigestUri` of `dcv-image`: the base that requests call `dcv`.",
    )
    desktop_image_uris: str | None = Field(
        default=None,
        description="`DesktopImageUris` or `DesktopImageDigestUris` of `kvdi-desktops`: each image is the "
        "base that requests call `desktop-<name>`.",
    )
    base_image: str = Field(
        default=DEFAULT_BASE_IMAGE,
        description="Public reference of the image that the service's own is built on: Debian 12.",
    )
    os_packages_mirror: str | None = Field(
        default=None,
        description="URL of a mirror of Debian's packages with `debian` and `debian-security` below it, for "
        "networks without internet access. Without it, packages come from where the base image takes them. "
        "By https only with a base image that has `ca-certificates`; signatures verify packages in any case.",
    )
    eks_cluster_name: str | None = Field(
        default=None,
        description="`EksClusterName` of the cluster on which the service runs: no other cluster's pods get "
        "the role by EKS Pod Identity.",
    )
    eks_oidc_arn: str | None = Field(
        default=None,
        description="`EksOidcArn` of the cluster. With it the role is for IAM roles for service accounts "
        "(IRSA); without it, for EKS Pod Identity.",
    )
    eks_cluster_admin_role_arn: str | None = Field(
        default=None,
        description="Role that may change the cluster: `EksClusterMasterRoleArn`, or another one that the "
        "module's role may assume and that the cluster knows. Without it, the module's own role, which then "
        "needs an access entry of the cluster.",
    )
    release_to_eks: bool = Field(
        default=False,
        description='`"true"`: the module installs the service\'s chart on the cluster, and removes it on '
        "destroy. The build has to reach the cluster's endpoint. In quotes: SeedFarmer hands on texts alone "
        "to the stack of the module's role.",
    )
    chart_values: str = Field(
        default="{}",
        description="JSON object of values of the chart, for `release-to-eks`; they win over the module's.",
    )
    database_secret_name: str | None = Field(
        default=None,
        validate_default=True,
        description="Secret in AWS Secrets Manager with the service's database, for `release-to-eks`: a JSON "
        "object with `DCRX_KV_DATABASE_URI`, or with `password` as RDS writes it; host and user are then "
        "`database` in `chart-values`.",
    )
    release_timeout_minutes: int = Field(
        default=10,
        ge=1,
        le=60,
        description="How long the chart's pods may take to become ready, and to go.",
    )
    helm_distro_url: str | None = Field(
        default=None,
        description="URL of a Helm archive (`https://…/helm-v3.17.3-linux-amd64.tar.gz`), for Linux and the "
        "architecture of the build. Without it, `release-to-eks` needs a `helm` on `PATH`.",
    )
    helm_distro_sha256: str | None = Field(
        default=None,
        validate_default=True,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the Helm archive; required with `helm-distro-url`.",
    )
    namespace: str = Field(
        default="dcrx-kv",
        description="Namespace in which the service runs: only its service accounts get the role.",
    )
    service_account_names: str = Field(
        default="dcrx-kv, dcrx-kv-builds",
        description="Service accounts that get the role, a list: those that the chart makes for the service "
        "and for the pods that build.",
    )
    service_endpoint: str | None = Field(
        default=None,
        description="URL under which the service is reached, for the output `ImageBuilderEndpoint`. Without "
        "it, that of the chart's service inside of the cluster.",
    )

    @field_validator("ecr_repository_name", "images_prefix")
    @classmethod
    def _repository_name_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_repository_name(value)

    @field_validator("replicated_ecr_images_metadata_s3_path")
    @classmethod
    def _inventory_path_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_inventory_path(value)

    @field_validator("dcv_image_uri")
    @classmethod
    def _dcv_image_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else _checked_uri(value)

    @field_validator("desktop_image_uris")
    @classmethod
    def _desktop_images_are_valid(cls, value: str | None) -> str | None:
        for uri in _desktops(value).values():
            _checked_uri(uri)
        return value

    @field_validator("base_image")
    @classmethod
    def _base_image_is_valid(cls, value: str) -> str:
        return checked_image_reference(value, DEFAULT_BASE_IMAGE)

    @field_validator("os_packages_mirror", "service_endpoint")
    @classmethod
    def _url_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)

    @field_validator("eks_cluster_name")
    @classmethod
    def _cluster_name_is_valid(cls, value: str | None) -> str | None:
        if value is not None and not _CLUSTER_NAME.fullmatch(value):
            raise ValueError(f"must be the name of an EKS cluster, not {value!r}")
        return value

    @field_validator("eks_oidc_arn")
    @classmethod
    def _provider_is_valid(cls, value: str | None) -> str | None:
        if value is not None and not _OIDC_ARN.fullmatch(value):
            raise ValueError(
                f"must be an ARN such as arn:aws:iam::ACCOUNT:oidc-provider/ISSUER, not {value!r}"
            )
        return value

    @field_validator("eks_cluster_admin_role_arn")
    @classmethod
    def _role_is_valid(cls, value: str | None) -> str | None:
        if value is not None and not _ROLE_ARN.fullmatch(value):
            raise ValueError(f"must be an ARN such as arn:aws:iam::ACCOUNT:role/NAME, not {value!r}")
        return value

    @field_validator("release_to_eks")
    @classmethod
    def _release_needs_a_cluster(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("eks_cluster_name", "") is None:
            raise ValueError("is true, but `eks-cluster-name` is not set")
        return value

    @field_validator("chart_values")
    @classmethod
    def _values_are_an_object(cls, value: str) -> str:
        found = _values(value)
        for path in _MADE_BY_THE_MODULE:
            if _has(found, path):
                raise ValueError(f"has {'.'.join(path)}, which the module sets itself")
        return value

    @field_validator("database_secret_name")
    @classmethod
    def _secret_name_is_valid(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("release_to_eks") and "chart_values" in info.data:
            tried = _has(_values(info.data["chart_values"]), ("database", "tryOut", "enabled"))
            if not tried:
                raise ValueError(
                    "is needed with `release-to-eks`, unless `chart-values` has database.tryOut.enabled"
                )
        if value is not None and not _SECRET_NAME.fullmatch(value):
            raise ValueError(f"must be the name of a secret, without its ARN, not {value!r}")
        return value

    @field_validator("helm_distro_url")
    @classmethod
    def _archive_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)

    @field_validator("helm_distro_sha256")
    @classmethod
    def _checksum_needs_an_archive(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) != (info.data.get("helm_distro_url") is None) and "helm_distro_url" in info.data:
            raise ValueError("is needed with `helm-distro-url`, and only with it")
        return value

    @field_validator("namespace")
    @classmethod
    def _namespace_is_valid(cls, value: str) -> str:
        return _checked_kubernetes_name(value)

    @field_validator("service_account_names")
    @classmethod
    def _service_accounts_are_valid(cls, value: str) -> str:
        for name in names_in(value, NOTHING):
            _checked_kubernetes_name(name)
        return value

    @property
    def desktops(self) -> Mapping[str, str]:
        """Name of a desktop image -> its URI."""
        return _desktops(self.desktop_image_uris)

    @property
    def values_of_chart(self) -> Mapping[str, Any]:
        """`chart-values`, parsed."""
        return _values(self.chart_values)

    @property
    def service_accounts(self) -> list[str]:
        """Names of the service accounts that get the role."""
        return names_in(self.service_account_names, NOTHING)

    @property
    def oidc_issuer(self) -> str | None:
        """The cluster's issuer without `https://`, as conditions of a role's trust name it."""
        match = self.eks_oidc_arn and _OIDC_ARN.fullmatch(self.eks_oidc_arn)
        return match["issuer"] if match else None

    def repository(self, project: str) -> str:
        """Name of the repository of the service's own image."""
        return self.ecr_repository_name or f"{project}-image-builder"

    def prefix_of_images(self, project: str, deployment: str) -> str:
        """What the names of the repositories of built images begin with."""
        return self.images_prefix or f"{project}-{deployment}-images".lower()


def _checked_uri(value: object) -> str:
    example = "ACCOUNT.dkr.ecr.REGION.amazonaws.com/name:tag"
    if not isinstance(value, str):
        raise ValueError(f"must be an image reference such as {example}, not {value!r}")
    return checked_image_reference(value, example)


def _desktops(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error}): {text!r}") from None
    if not isinstance(value, dict) or not all(_DESKTOP.fullmatch(name) for name in value):
        raise ValueError(f"must be a JSON object from the names of images to their URIs, not {text!r}")
    return value


def _values(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object of values of the chart")
    return value


def _has(values: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    here: object = values
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return False
        here = here[key]
    return True


def _checked_kubernetes_name(value: str) -> str:
    if not _KUBERNETES_NAME.fullmatch(value):
        raise ValueError(f"must be 1 to 63 of a-z, 0-9 and - between them, not {value!r}")
    return value
