"""The module's metadata outputs: their names are a contract with whoever consumes them."""

from typing import Final

IMAGE_URI: Final = "ImageBuilderImageUri"
IMAGE_DIGEST_URI: Final = "ImageBuilderImageDigestUri"
ROLE_ARN: Final = "ImageBuilderRoleArn"
SECRET_NAME: Final = "ImageBuilderSecretName"  # noqa: S105  a name
ADMINISTRATOR_SECRET_NAME: Final = "ImageBuilderAdministratorSecretName"  # noqa: S105  a name
ENDPOINT: Final = "ImageBuilderEndpoint"
CHART: Final = "ImageBuilderChart"
ENVIRONMENT: Final = "ImageBuilderEnvironment"

OUTPUTS: Final[dict[str, str]] = {
    IMAGE_URI: "URI of the service's image by tag: `<repository URI>:latest`.",
    IMAGE_DIGEST_URI: "URI of the same image by digest: `<repository URI>@sha256:…`. It never moves.",
    CHART: "The service's Helm chart by digest: `oci://<repository URI>/dcrx-kv@sha256:…`.",
    ROLE_ARN: "ARN of the role for the service accounts of service and builds.",
    SECRET_NAME: "Name of the secret in Secrets Manager whose `DCRX_KV_SECRET_KEY` signs tokens.",
    ADMINISTRATOR_SECRET_NAME: "Name of the secret with `DCRX_KV_ADMIN_USERNAME` and "
    "`DCRX_KV_ADMIN_PASSWORD`, of the first administrator.",
    ENDPOINT: "URL under which the service is reached.",
    ENVIRONMENT: "JSON object: variables of the service that follow from this deployment (registry, named "
    "bases, inventory). No secrets.",
}
