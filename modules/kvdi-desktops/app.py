"""The CDK app: what belongs to this deployment alone, and the module's metadata."""

import os
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from kvdi_desktops.settings import Parameters
from kvdi_desktops.shared.edge import run
from kvdi_desktops.shared.outputs import read_outputs
from kvdi_desktops.shared.settings import load
from kvdi_desktops.stack import DesktopsStack


def main() -> int:
    """Synthesise the stack that the published images ask for."""
    seedfarmer, _ = load(Parameters)
    app = cdk.App()
    where = cdk.Environment(account=os.getenv("CDK_DEFAULT_ACCOUNT"), region=os.getenv("CDK_DEFAULT_REGION"))
    DesktopsStack(app, seedfarmer, read_outputs(), env=where)
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
