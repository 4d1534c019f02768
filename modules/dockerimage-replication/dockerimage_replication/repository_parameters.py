"""Parameters that say how the project's repositories are set up."""

import json
import re
from typing import Literal

from pydantic import Field, field_validator

from .repository_settings import RepositorySettings
from .shared.settings import CommonParameters

_ACCOUNT = re.compile(r"\d{12}")


class RepositoryParameters(CommonParameters):
    """What a manifest can say about the repositories."""

    image_tag_mutability: Literal["MUTABLE", "IMMUTABLE"] = Field(
        default="MUTABLE",
        description="`IMMUTABLE`: a tag never names another image than at first. A public tag that has moved "
        "is then an error that says what to do. Tags of signatures (`sha256-…`) can always move.",
    )
    untagged_image_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="An image that lost its tag (because the public tag has moved) is deleted so many days "
        "after its push. `0`: never. What a tagged index contains, signatures and other referrers stay, and "
        "so does everything in a repository with an image that is replicated by digest.",
    )
    repository_kms_key: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$",
        description="ARN of a KMS key that encrypts new repositories; without it, Amazon S3's keys do. "
        "Encryption cannot be changed later: repositories that are there keep theirs, and the log says so.",
    )
    pull_account_ids: str = Field(
        default="[]",
        description='JSON list of AWS accounts that may pull: `["123456789012"]`, with the quotes.',
    )
    pull_organization_id: str | None = Field(
        default=None,
        pattern=r"^o-[a-z0-9]{10,32}$",
        description="Organization (`o-…`) whose accounts may all pull.",
    )

    @field_validator("pull_account_ids")
    @classmethod
    def _accounts_are_valid(cls, value: str) -> str:
        _accounts(value)
        return value

    def repository_settings(self, partition: str) -> RepositorySettings:
        """The settings of repositories in a partition (`aws`, `aws-cn` …)."""
        return RepositorySettings(
            partition=partition,
            immutable=self.image_tag_mutability == "IMMUTABLE",
            untagged_image_days=self.untagged_image_days,
            kms_key=self.repository_kms_key,
            pull_accounts=_accounts(self.pull_account_ids),
            pull_organization=self.pull_organization_id,
        )


def _accounts(text: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error}): {text!r}") from None
    if not isinstance(value, list):
        raise ValueError(f'must be a JSON list of accounts like ["123456789012"], not {text!r}')
    wrong = [item for item in value if not isinstance(item, str) or not _ACCOUNT.fullmatch(item)]
    if wrong:
        raise ValueError(
            f"has {wrong[0]!r}, which is no account: 12 digits in quotes, for YAML takes leading zeros away"
        )
    return tuple(sorted(set(value)))
