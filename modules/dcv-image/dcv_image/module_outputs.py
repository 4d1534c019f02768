"""The module's metadata outputs: their names are a contract with the modules that consume them."""

IMAGE_URI = "DCVImageUri"
IMAGE_DIGEST_URI = "DCVImageDigestUri"
RUNTIME_POLICY_ARN = "DCVRuntimePolicyArn"

OUTPUTS: dict[str, str] = {
    IMAGE_URI: "URI of the image by tag: `<repository URI>:dcv-latest`.",
    IMAGE_DIGEST_URI: "URI of the same image by digest: `<repository URI>@sha256:…`. It never moves.",
    RUNTIME_POLICY_ARN: "ARN of the managed policy that the role of the DCV pod needs.",
}
