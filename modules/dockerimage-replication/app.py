"""The CDK app: what belongs to this deployment alone, and the module's metadata."""

import json
import os
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from dockerimage_replication.settings import Parameters
from dockerimage_replication.shared.edge import run
from dockerimage_replication.shared.errors import UserError
from dockerimage_replication.shared.outputs import read_outputs
from dockerimage_replication.shared.settings import load
from dockerimage_replication.stack import ReplicationStack


def main() -> int:
    """Synthesize the stack of the deployment that the environment names."""
    seedfarmer, _ = load(Parameters)
    app = cdk.App()
    stack = ReplicationStack(app, seedfarmer, _environment())
    cdk.CfnOutput(stack, "metadata", value=json.dumps(read_outputs()))
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    app.synth()
    return 0


def _environment() -> cdk.Environment:
    """Account and region, which the bucket's name is made of; the CDK CLI finds them."""
    account, region = os.environ.get("CDK_DEFAULT_ACCOUNT"), os.environ.get("CDK_DEFAULT_REGION")
    if not account or not region:
        raise UserError("no AWS account and region: run this app with `cdk`, and with AWS credentials")
    return cdk.Environment(account=account, region=region)


if __name__ == "__main__":
    sys.exit(run(main))
