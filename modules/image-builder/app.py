"""The CDK app: what belongs to this deployment alone, and the module's metadata."""

import os
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from image_builder.settings import Parameters
from image_builder.shared.edge import run
from image_builder.shared.outputs import read_outputs
from image_builder.shared.settings import load
from image_builder.stack import ImageBuilderStack


def main() -> int:
    """Synthesise the stack that the module's parameters ask for."""
    seedfarmer, parameters = load(Parameters)
    app = cdk.App()
    where = cdk.Environment(account=os.getenv("CDK_DEFAULT_ACCOUNT"), region=os.getenv("CDK_DEFAULT_REGION"))
    ImageBuilderStack(app, seedfarmer=seedfarmer, parameters=parameters, outputs=read_outputs(), env=where)
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
