"""What the role of the module's build may do, and what a call to AWS needs."""

from pathlib import Path

import yaml
from botocore.model import OperationModel

MODULE = Path(__file__).resolve().parents[1]
# IAM's name for an S3 operation that has another one (Amazon S3 user guide, Required permissions).
S3_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


def iam_action(model: OperationModel) -> str:
    """IAM's name of a call to AWS."""
    service, name = model.service_model.service_name, model.name
    return f"{service}:{S3_ACTIONS.get(name, name) if service == 's3' else name}"


def granted_actions() -> set[str]:
    """What `modulestack.yaml` allows when every part of it is wanted."""
    template = yaml.load((MODULE / "modulestack.yaml").read_text(), _Template)  # noqa: S506 - a SafeLoader
    statements = template["Resources"]["BuildPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    actions: set[str] = set()
    for statement in statements:
        allowed = statement.get("Action", [])
        actions.update([allowed] if isinstance(allowed, str) else allowed)
    return actions


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short functions: `!If` as its first branch, the others as nothing."""


_Template.add_constructor("!If", lambda loader, node: loader.construct_sequence(node, deep=True)[1])
_Template.add_multi_constructor("!", lambda loader, suffix, node: None)
