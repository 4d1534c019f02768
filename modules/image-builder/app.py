"""The CDK app: what belongs to one deployment of the module."""

import sys

import aws_cdk
from cdk_nag import AwsSolutionsChecks
from image_builder.settings import Parameters
from image_builder.shared import edge
from image_builder.shared.outputs import read_outputs
from image_builder.shared.settings import load
from image_builder.stack import ImageBuilderStack


def main() -> int:
    """Synthesise the stack from the module's parameters."""
    seedfarmer, parameters = load(Parameters)
    app = aws_cdk.App()
    ImageBuilderStack(app, seedfarmer=seedfarmer, parameters=parameters, outputs=read_outputs())
    aws_cdk.Aspects.of(app).add(AwsSolutionsChecks())
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(edge.run(main))
