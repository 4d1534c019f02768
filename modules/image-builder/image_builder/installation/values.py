"""What the chart is installed with."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from ..module_outputs import ENVIRONMENT, IMAGE_DIGEST_URI, ROLE_ARN
from ..settings import Parameters

SECRETS = "dcrx-kv-secrets"
ADMINISTRATOR = "dcrx-kv-administrator"
DATABASE_URI = "DCRX_KV_DATABASE_URI"
DATABASE_PASSWORD = "DCRX_KV_DATABASE_PASSWORD"  # noqa: S105  a name
# Pods read their secrets at the start: other ones need other pods.
_CHECKSUM = "checksum/secrets"

Values = dict[str, Any]


def chart_values(
    parameters: Parameters, outputs: Mapping[str, str], database: Mapping[str, str], checksum: str
) -> Values:
    """The chart's values: what this deployment has made, under what `chart-values` says.

    Args:
        parameters: of the module.
        outputs: of the module.
        database: what the pods get of `database-secret-name`.
        checksum: changes with the secrets.
    """
    values: Values = {"settings": json.loads(outputs[ENVIRONMENT])}
    if parameters.database_secret_name is not None:
        values["database"] = {"tryOut": {"enabled": False}, "uriInSecret": DATABASE_URI in database}
    if parameters.eks_oidc_arn is not None:
        account = {"roleArn": outputs[ROLE_ARN]}
        values |= {"serviceAccount": account, "builds": {"serviceAccount": account}}
    made = {
        "image": {"uri": outputs[IMAGE_DIGEST_URI]},
        "existingSecret": SECRETS,
        "administratorSecret": ADMINISTRATOR,
        "podAnnotations": {_CHECKSUM: checksum},
    }
    return merged(merged(values, parameters.values_of_chart), made)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Values:
    """Both, as helm merges them: the second wins, maps are merged, lists are not."""
    result = dict(first)
    for key, value in second.items():
        known = result.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        result[key] = merged(known, value) if both else value  # type: ignore[arg-type]
    return result


def checksum_of(secrets: Mapping[str, Mapping[str, str]], key: str) -> str:
    """Changes with the secrets, and says nothing of them to whoever lacks the key."""
    text = json.dumps(secrets, sort_keys=True).encode()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


def inputs_digest(chart: str, values: Mapping[str, Any]) -> str:
    """What a release is made from, as one digest.

    Args:
        chart: digest of the chart.
        values: what it is installed with.
    """
    text = json.dumps([chart, values], sort_keys=True).encode()
    return f"sha256:{hashlib.sha256(text).hexdigest()}"
