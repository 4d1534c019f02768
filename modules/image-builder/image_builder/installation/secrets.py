"""What the pods get as secrets: from Secrets Manager, at the moment of use."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ..shared.errors import UserError
from .values import DATABASE_PASSWORD, DATABASE_URI

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_PARAMETER = "manifest parameter `database-secret-name`"
_RDS_PASSWORD = "password"  # noqa: S105  a name: AWS Secrets Manager user guide, JSON structure of secrets


def read_secret(client: "SecretsManagerClient", name: str) -> dict[str, str]:
    """A secret that holds a JSON object.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        text = client.get_secret_value(SecretId=name).get("SecretString", "")
    except ClientError as error:
        raise UserError(f"secret {name} cannot be read: {error.response['Error'].get('Code')}") from None
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None  # without the text: it is a secret
    if not isinstance(value, dict):
        raise UserError(f"secret {name} holds no JSON object")
    return {str(key): str(item) for key, item in value.items()}


def database_variables(client: "SecretsManagerClient", name: str | None) -> Mapping[str, str]:
    """Variables of the service that say how it signs in to its database; none without a secret.

    Raises:
        UserError: the secret cannot be read, or says nothing of a database.
    """
    if name is None:
        return {}
    try:
        found = read_secret(client, name)
    except UserError as error:
        raise UserError(f"{_PARAMETER}: {error}") from None
    for key, variable in (
        (DATABASE_URI, DATABASE_URI),
        (DATABASE_PASSWORD, DATABASE_PASSWORD),
        (_RDS_PASSWORD, DATABASE_PASSWORD),
    ):
        if found.get(key):
            return {variable: found[key]}
    raise UserError(f"{_PARAMETER}: secret {name} has neither {DATABASE_URI} nor `{_RDS_PASSWORD}`")
