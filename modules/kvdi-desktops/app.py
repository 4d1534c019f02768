"""The CDK app: what belongs to one deployment of the module."""

import sys

import aws_cdk
from cdk_nag import AwsSolutionsChecks
from kvdi_desktops.settings import Parameters
from kvdi_desktops.shared import edge
from kvdi_desktops.shared.outputs import read_outputs
from kvdi_desktops.shared.settings import load
from kvdi_desktops.stack import KvdiDesktopsStack


def main() -> int:
    """Synthesise the stack from the module's parameters."""
    seedfarmer, parameters = load(Parameters)
    app = aws_cdk.App()
    KvdiDesktopsStack(app, seedfarmer=seedfarmer, parameters=parameters, outputs=read_outputs())
    aws_cdk.Aspects.of(app).add(AwsSolutionsChecks())
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(edge.run(main))
