"""The module's metadata outputs: their names are a contract with the modules that consume them."""

from typing import Final

IMAGE_URIS: Final = "DesktopImageUris"
IMAGE_DIGEST_URIS: Final = "DesktopImageDigestUris"

OUTPUTS: Final[dict[str, str]] = {
    IMAGE_URIS: "JSON object from the name of each image to its URI by tag: "
    '`{"debian-supervisord-xfce4": "<repository URI>:latest"}`.',
    IMAGE_DIGEST_URIS: "The same by digest: `<repository URI>@sha256:…`. These never move.",
}
