"""What belongs to one deployment alone: where its images can be looked up."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from .module_outputs import IMAGE_DIGEST_URIS
from .shared.settings import SeedFarmerSettings

NO_IMAGES = "{}"  # on destroy, where no deploy was


class DesktopsStack(cdk.Stack):
    """The URIs by digest in Systems Manager, for whoever renders templates, and the module's metadata."""

    def __init__(
        self,
        scope: Construct,
        seedfarmer: SeedFarmerSettings,
        outputs: Mapping[str, str],
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope,
            seedfarmer.stack_name,
            env=env,
            description=f"Desktop images of {seedfarmer.deployment_name}, {seedfarmer.module_name}",
        )
        ssm.StringParameter(
            self,
            "ImageUris",
            parameter_name=parameter_name(seedfarmer),
            string_value=outputs.get(IMAGE_DIGEST_URIS, NO_IMAGES),
            description="Desktop images: JSON object from name to URI by digest",
            # A standard parameter has room for the URIs of about 20 images, an advanced one costs more.
            tier=ssm.ParameterTier.INTELLIGENT_TIERING,
        )
        cdk.CfnOutput(self, "metadata", value=self.to_json_string(dict(outputs)))


def parameter_name(seedfarmer: SeedFarmerSettings) -> str:
    """Outside `/<project>/<deployment>/`, whose parameters SeedFarmer takes for its own."""
    deployment = f"{seedfarmer.project_name}/{seedfarmer.deployment_name}"
    return f"/airgap-modules/{deployment}/{seedfarmer.module_name}/desktop-image-digest-uris"
