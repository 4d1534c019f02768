"""What the repositories of a project should be like, as Amazon ECR takes it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ecr.literals import ImageTagMutabilityType
    from mypy_boto3_ecr.type_defs import ImageTagMutabilityExclusionFilterTypeDef

_OUR_STATEMENTS = "AirgapModulesPull"
_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
# Cosign moves `sha256-….sig` with every signature, and so does the referrers tag schema with its
# `sha256-…` (OCI distribution-spec, Referrers tag schema).
MOVABLE_TAGS: "Sequence[ImageTagMutabilityExclusionFilterTypeDef]" = (
    {"filterType": "WILDCARD", "filter": "sha256-*"},
)


@dataclass(frozen=True)
class RepositorySettings:
    """Settings of all repositories of a project.

    Attributes:
        partition: of the account: `aws`, `aws-cn` …
        immutable: whether a tag can be given to another image.
        untagged_image_days: age at which an untagged image expires; 0 for never.
        kms_key: ARN of the key of new repositories; None for Amazon S3's keys.
        pull_accounts: other accounts that may pull.
        pull_organization: organization whose accounts may pull.
    """

    partition: str
    immutable: bool = False
    untagged_image_days: int = 30
    kms_key: str | None = None
    pull_accounts: tuple[str, ...] = ()
    pull_organization: str | None = None

    @property
    def mutability(self) -> "ImageTagMutabilityType":
        """`imageTagMutability` of the ECR API; immutable but for `MOVABLE_TAGS`."""
        return "IMMUTABLE_WITH_EXCLUSION" if self.immutable else "MUTABLE"

    def lifecycle(self, *, by_digest: bool) -> str | None:
        """Text of the lifecycle policy, None for none.

        Only `tagStatus: untagged` is safe. Children of an index have no tag either, but an image that
        a manifest list refers to does not expire before that list; referrers go with their subject
        (Amazon ECR user guide, Automate the cleanup of images by using lifecycle policies, Lifecycle
        policy evaluation rules). With `any`, the tagged index itself would expire.

        Args:
            by_digest: whether somebody pulls by digest from the repository: such an image may have no
                tag at all, so nothing there may expire.
        """
        if by_digest or not self.untagged_image_days:
            return None
        selection = {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": self.untagged_image_days,
        }
        rule = {
            "rulePriority": 1,
            "description": "Images that lost their tag",
            "selection": selection,
            "action": {"type": "expire"},
        }
        return json.dumps({"rules": [rule]})

    def policy(self, current: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The repository policy: our statements, and those that others have put into `current`."""
        others = [entry for entry in _statements(current) if not _is_ours(entry)]
        statements = [*others, *self._pull_statements()]
        return {"Version": "2012-10-17", **(current or {}), "Statement": statements} if statements else None

    def fingerprint(self, *, by_digest: bool) -> str:
        """Differs when a repository would be set up differently; the key is not part of it."""
        value = [self.mutability, self.lifecycle(by_digest=by_digest), self.policy(None)]
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

    def _pull_statements(self) -> list[dict[str, Any]]:
        statements: list[dict[str, Any]] = []
        if self.pull_accounts:
            roots = [f"arn:{self.partition}:iam::{account}:root" for account in self.pull_accounts]
            statements.append(_statement("Accounts", {"AWS": roots}))
        if self.pull_organization:
            condition = {"StringEquals": {"aws:PrincipalOrgID": self.pull_organization}}
            statements.append({**_statement("Organization", "*"), "Condition": condition})
        return statements


def _statement(who: str, principal: object) -> dict[str, Any]:
    return {
        "Sid": f"{_OUR_STATEMENTS}{who}",
        "Effect": "Allow",
        "Principal": principal,
        "Action": _PULL,
    }


def _statements(policy: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Statements of a policy; IAM allows a single one without a list."""
    found = (policy or {}).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def _is_ours(statement: Mapping[str, Any]) -> bool:
    return str(statement.get("Sid", "")).startswith(_OUR_STATEMENTS)
