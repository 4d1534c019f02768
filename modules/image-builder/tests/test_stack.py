"""The stack: explicit names, all outputs, nothing for cdk-nag to say."""

import json

import aws_cdk
from aws_cdk.assertions import Annotations, Match, Template
from cdk_nag import AwsSolutionsChecks
from image_builder.module_outputs import OUTPUTS
from image_builder.settings import Parameters
from image_builder.shared.settings import load
from image_builder.stack import ImageBuilderStack


def make_stack() -> ImageBuilderStack:
    seedfarmer, parameters = load(Parameters)
    outputs = {"EngineImage": "docker.io/library/debian:bookworm"}
    return ImageBuilderStack(aws_cdk.App(), seedfarmer=seedfarmer, parameters=parameters, outputs=outputs)


def test_the_greeting_is_kept_where_seedfarmer_does_not_look_for_its_own() -> None:
    template = Template.from_stack(make_stack())

    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {"Name": "/airgap-modules/airgap/test/group-module/greeting", "Value": "hello"},
    )


def test_the_stack_has_the_name_by_which_seedfarmer_reads_its_outputs() -> None:
    assert make_stack().stack_name == "airgap-test-group-module"


def test_every_declared_output_is_in_the_metadata() -> None:
    metadata = json.dumps(Template.from_stack(make_stack()).find_outputs("metadata"))

    assert all(name in metadata for name in OUTPUTS)


def test_cdk_nag_has_nothing_to_say() -> None:
    stack = make_stack()
    aws_cdk.Aspects.of(stack).add(AwsSolutionsChecks())

    found = Annotations.from_stack(stack)

    anything = Match.string_like_regexp("AwsSolutions-.*")
    assert found.find_error("*", anything) == []
    assert found.find_warning("*", anything) == []
