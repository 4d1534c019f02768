"""The CDK app: what belongs to this deployment alone, and the module's metadata."""

import os
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from dcv_image.module_outputs import RUNTIME_POLICY_ARN
from dcv_image.settings import Parameters
from dcv_image.shared.edge import run
from dcv_image.shared.outputs import read_outputs
from dcv_image.shared.settings import load
from dcv_image.stack import RuntimePolicyStack


def main() -> int:
    """Synthesize the stack that the module's parameters ask for."""
    seedfarmer, parameters = load(Parameters)
    app = cdk.App()
    where = cdk.Environment(account=os.getenv("CDK_DEFAULT_ACCOUNT"), region=os.getenv("CDK_DEFAULT_REGION"))
    stack = RuntimePolicyStack(app, seedfarmer, parameters, env=where)
    metadata = {**read_outputs(), RUNTIME_POLICY_ARN: stack.policy_arn}
    cdk.CfnOutput(stack, "metadata", value=stack.to_json_string(metadata))
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    app.synth()
    return 0


sys.exit(run(main))
