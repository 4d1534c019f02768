"""The parameters of this module."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from .repository_parameters import RepositoryParameters

OWNER_MODULE = "dockerimage-replication"
"""Name that the tags of repositories and bucket give as their owner: the module's folder."""

ANY_VERSION = "0.00"
"""For commands that no single EKS version concerns, because the parameter is required."""

_SHORTENED = re.compile(r"\d+\.\d")  # no EKS version has a minor number of one digit any more


def is_eks_version(text: str) -> bool:
    """Whether a deployment can ask for this version."""
    return re.fullmatch(r"\d+\.\d{2}", text) is not None


class Parameters(RepositoryParameters):
    """What a manifest can say to `dockerimage-replication`."""

    eks_version: str = Field(
        description='Version of the EKS cluster, in quotes (`"1.33"`). It names the version file '
        "`<eks-version>.yaml` among the data files.",
    )
    helm_repo_secret_name: str | None = Field(
        default=None,
        description="Secret in AWS Secrets Manager with `username` and `password` for chart repositories and "
        "for the targets of `docker_mappings`. It is sent to those hosts only, when they ask for it.",
    )
    helm_repo_secret_key: str | None = Field(
        default=None,
        description="Entry of that secret that holds `username` and `password`, if the secret nests several.",
    )
    helm_distro_url: str | None = Field(
        default=None,
        description="URL of a Helm archive (`https://…/helm-v3.17.3-linux-amd64.tar.gz`), for Linux and the "
        "architecture of the build. Helm renders the charts, which proves that they use private images "
        "only. Without this parameter a `helm` on `PATH` is used, and without one the proof is left out.",
    )
    helm_distro_secret_name: str | None = Field(
        default=None,
        description="Secret in AWS Secrets Manager with `username` and `password` for the host of "
        "`helm-distro-url`. It is sent to that host only, when it asks for it.",
    )
    helm_distro_secret_key: str | None = Field(
        default=None,
        description="Entry of that secret that holds `username` and `password`, if the secret nests several.",
    )
    helm_distro_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the Helm archive. Without it, the file `<helm-distro-url>.sha256sum` beside "
        "the archive is asked for; without that one, the archive is used with a warning.",
    )
    data_path: Path = Field(
        default=Path("data/eks_dockerimage-replication/versions"),
        description="Folder inside the module's bundle that holds the data files.",
    )

    refresh_tags: bool = Field(
        default=False,
        description="`true`: every run asks the sources which digest a tag has now, and follows a tag that "
        "has moved. `false`: an image keeps the digest that the lock of the last run names.",
    )

    @field_validator("eks_version")
    @classmethod
    def _looks_like_a_version(cls, value: str) -> str:
        if is_eks_version(value):
            return value
        hint = ""
        if _SHORTENED.fullmatch(value):
            hint = (
                f'; if the manifest says {value}0 without quotes, YAML made a number of it: write "{value}0"'
            )
        raise ValueError(f'is {value!r} and must look like "1.33"{hint}')

    @field_validator("helm_repo_secret_key", "helm_distro_secret_key")
    @classmethod
    def _key_needs_a_secret(cls, value: str | None, info: ValidationInfo) -> str | None:
        name = str(info.field_name).replace("_key", "_name")
        if value is not None and info.data.get(name) is None:
            raise ValueError(f"is set, but `{name.replace('_', '-')}` is not")
        return value

    @field_validator("helm_distro_url")
    @classmethod
    def _is_an_archive(cls, value: str | None) -> str | None:
        if value is not None and not _is_plain_url(value):
            raise ValueError("must be an http(s) URL without credentials, query and fragment")
        return value

    @field_validator("helm_distro_secret_name", "helm_distro_sha256")
    @classmethod
    def _needs_an_archive(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "helm_distro_url" in info.data and info.data["helm_distro_url"] is None:
            raise ValueError("is set, but `helm-distro-url` is not")
        return value


def _is_plain_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        return False
    return bool(complete) and "@" not in parts.netloc and not (parts.query or parts.fragment)
