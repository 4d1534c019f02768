"""What the service has to be told of its deployment, as its own variables; see `service_settings`."""

import json
from collections.abc import Mapping

from ..settings import Parameters
from ..shared.ownership import Owner


def named_bases(parameters: Parameters) -> dict[str, str]:
    """Name of a base -> its reference: `dcv`, and `desktop-<name>` for each desktop image."""
    bases = {f"desktop-{name}": uri for name, uri in sorted(parameters.desktops.items())}
    return {"dcv": parameters.dcv_image_uri, **bases} if parameters.dcv_image_uri else bases


def service_environment(parameters: Parameters, registry: str, owner: Owner) -> Mapping[str, str]:
    """The variables.

    Args:
        parameters: of the module.
        registry: where built images go: `host/prefix`.
        owner: whose tags the repositories of built images carry.
    """
    variables = {
        "DOCKER_REGISTRY_URI": f"https://{registry}",
        "DCRX_KV_BASES": json.dumps(named_bases(parameters)),
        "DCRX_KV_ECR_TAGS": json.dumps({tag["Key"]: tag["Value"] for tag in owner.tags()}),
        "DCRX_KV_REGISTRY_ENDPOINTS": parameters.registry_endpoints,
    }
    inventory = parameters.replicated_ecr_images_metadata_s3_path
    if inventory:
        variables["DCRX_KV_INVENTORY"] = f"s3://{inventory.removeprefix('s3://')}"
    return variables
