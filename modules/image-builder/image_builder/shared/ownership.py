"""Tags that say which project and which module of this collection made a thing.

Clean-up deletes only what carries them: never by name alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

PROJECT_TAG = "SeedFarmerProject"
OWNER_TAG = "AirgapModulesOwner"


class Tag(TypedDict):
    """A tag as ECR and S3 take it."""

    Key: str
    Value: str


@dataclass(frozen=True)
class Owner:
    """A project and the module (by its folder's name) that owns a shared thing in it."""

    project: str
    module: str

    def tags(self) -> list[Tag]:
        """The tags in the form that ECR and S3 take."""
        return [{"Key": PROJECT_TAG, "Value": self.project}, {"Key": OWNER_TAG, "Value": self.module}]

    def owns(self, tags: Iterable[object]) -> bool:
        """Whether tags as ECR and S3 return them are exactly this owner's."""
        found = {tag["Key"]: tag["Value"] for tag in tags if isinstance(tag, dict)}
        return found.get(PROJECT_TAG) == self.project and found.get(OWNER_TAG) == self.module
