"""The stack: what can be looked up, all outputs, nothing for cdk-nag to say."""

import json
from collections.abc import Mapping

import aws_cdk
from aws_cdk.assertions import Annotations, Match, Template
from cdk_nag import AwsSolutionsChecks
from kvdi_desktops.apply import outputs
from kvdi_desktops.module_outputs import OUTPUTS
from kvdi_desktops.shared.settings import SeedFarmerSettings
from kvdi_desktops.stack import DesktopsStack

SEEDFARMER = SeedFarmerSettings(project_name="idf", deployment_name="prod", module_name="desktops-kvdi")
DIGEST = f"sha256:{'a' * 64}"
GIVEN = outputs({"debian-systemd-base": "host/prefix/debian-systemd-base"}, {"debian-systemd-base": DIGEST})


def make_stack(given: Mapping[str, str]) -> DesktopsStack:
    where = aws_cdk.Environment(account="123456789012", region="us-east-1")
    return DesktopsStack(aws_cdk.App(), SEEDFARMER, given, env=where)


def test_the_images_can_be_looked_up_where_seedfarmer_does_not_look_for_its_own() -> None:
    template = Template.from_stack(make_stack(GIVEN))

    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {
            "Name": "/airgap-modules/idf/prod/desktops-kvdi/desktop-image-digest-uris",
            "Value": json.dumps({"debian-systemd-base": f"host/prefix/debian-systemd-base@{DIGEST}"}),
        },
    )


def test_the_stack_has_the_name_by_which_seedfarmer_reads_its_outputs() -> None:
    assert make_stack(GIVEN).stack_name == "idf-prod-desktops-kvdi"


def test_every_declared_output_is_in_the_metadata() -> None:
    metadata = json.dumps(Template.from_stack(make_stack(GIVEN)).find_outputs("metadata"))

    assert [name for name in OUTPUTS if name not in metadata] == []


def test_the_stack_can_be_destroyed_where_no_deploy_was() -> None:
    template = Template.from_stack(make_stack({}))

    template.has_resource_properties("AWS::SSM::Parameter", {"Value": "{}"})


def test_cdk_nag_has_nothing_to_say() -> None:
    stack = make_stack(GIVEN)
    aws_cdk.Aspects.of(stack).add(AwsSolutionsChecks())

    found = Annotations.from_stack(stack)

    anything = Match.string_like_regexp("AwsSolutions-.*")
    assert found.find_error("*", anything) == []
    assert found.find_warning("*", anything) == []
