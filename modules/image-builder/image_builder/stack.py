"""The module's stack: what belongs to one deployment, named explicitly."""

from collections.abc import Mapping

import aws_cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from .module_outputs import GREETING_PARAMETER_NAME
from .settings import Parameters
from .shared.settings import SeedFarmerSettings


class ImageBuilderStack(aws_cdk.Stack):
    """One SSM parameter, and the output that SeedFarmer makes the module's metadata."""

    def __init__(
        self,
        scope: Construct,
        *,
        seedfarmer: SeedFarmerSettings,
        parameters: Parameters,
        outputs: Mapping[str, str],
    ) -> None:
        super().__init__(scope, seedfarmer.stack_name, description="Module image-builder")
        greeting = ssm.StringParameter(
            self,
            "Greeting",
            parameter_name=_parameter_name(seedfarmer),
            string_value=parameters.greeting,
        )
        # Read from the resource, so that the output exists only when the parameter does.
        metadata = {**outputs, GREETING_PARAMETER_NAME: greeting.parameter_name}
        aws_cdk.CfnOutput(self, "metadata", value=self.to_json_string(metadata))


def _parameter_name(seedfarmer: SeedFarmerSettings) -> str:
    """Outside `/<project>/<deployment>/`, whose parameters SeedFarmer takes for its own."""
    deployment = f"{seedfarmer.project_name}/{seedfarmer.deployment_name}"
    return f"/airgap-modules/{deployment}/{seedfarmer.module_name}/greeting"
