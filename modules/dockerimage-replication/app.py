"""The CDK app of this module: what belongs to one deployment."""

import json
import os

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from dockerimage_replication.settings import Parameters
from dockerimage_replication.shared.outputs import read_outputs
from dockerimage_replication.shared.settings import load
from dockerimage_replication.stack import ReplicationStack

seedfarmer, _ = load(Parameters)
app = cdk.App()
stack = ReplicationStack(
    app,
    seedfarmer,
    cdk.Environment(account=os.environ["CDK_DEFAULT_ACCOUNT"], region=os.environ["CDK_DEFAULT_REGION"]),
)
cdk.CfnOutput(stack, "metadata", value=json.dumps(read_outputs()))
cdk.Aspects.of(app).add(AwsSolutionsChecks())
app.synth()
