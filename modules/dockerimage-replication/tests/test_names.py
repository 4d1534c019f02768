"""Names in the private registry."""

import re

import pytest
from dockerimage_replication import names
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.shared.errors import UserError
from hypothesis import given
from hypothesis import strategies as st

ECR_RULE = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")

_word = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
_component = st.builds(
    lambda first, rest: first + "".join(rest),
    _word,
    st.lists(st.builds("".join, st.tuples(st.sampled_from([".", "_", "__", "-", "---"]), _word)), max_size=3),
)
_hosts = st.sampled_from(["", "quay.io/", "localhost/", "internet.local:5001/", "[::1]:5000/"])
_sources = st.builds(
    lambda host, path: host + "/".join(path), _hosts, st.lists(_component, min_size=1, max_size=12)
)


@pytest.mark.parametrize(
    ("source", "private"),
    [
        ("quay.io/calico/node:v3.27.0", "idf-quay.io/calico/node:v3.27.0"),
        ("calico/node:v3", "idf-calico/node:v3"),
        ("docker.io/calico/node:v3", "idf-docker.io/calico/node:v3"),
        ("busybox", "idf-busybox:latest"),
        ("internet.local:5001/team/tool:1", "idf-internet.local_5001/team/tool:1"),
        (f"quay.io/a@sha256:{'0' * 64}", f"idf-quay.io/a@sha256:{'0' * 64}"),
        (f"quay.io/a:1@sha256:{'0' * 64}", f"idf-quay.io/a:1@sha256:{'0' * 64}"),
    ],
)
def test_a_private_reference_is_the_source_below_the_project(source: str, private: str) -> None:
    assert names.private_image("ecr.example", "idf", source) == f"ecr.example/{private}"


@given(_sources)
def test_every_source_has_a_name_that_ecr_takes(source: str) -> None:
    name = names.image_repository("idf", source)

    assert ECR_RULE.fullmatch(name)
    assert len(name) <= names.MAX_REPOSITORY_NAME


@given(_sources, _sources)
def test_different_sources_never_share_a_repository(one: str, other: str) -> None:
    shared = names.image_repository("idf", one) == names.image_repository("idf", other)

    assert shared == (one == other)


def test_a_name_that_is_too_long_is_cut_and_ends_with_a_hash() -> None:
    long = "quay.io/" + "/".join(["segment"] * 40)

    name = names.image_repository("idf", long)

    assert name.startswith("idf-quay.io/segment/")
    assert re.search(r"-[0-9a-f]{8}$", name)


@given(_sources.filter(lambda source: not source.startswith("[")), st.sampled_from(["", ":v1.2_3", ":a-b"]))
def test_a_reference_splits_into_name_and_suffix(source: str, suffix: str) -> None:
    assert names.split_reference(source + suffix) == (source, suffix)


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("https://aws.github.io/eks-charts", "idf-eks-charts/app"),
        ("https://docs.projectcalico.org/charts/", "idf-charts/app"),
        ("https://charts.jetstack.io", "idf-charts.jetstack.io/app"),
        ("http://internet.local:5002", "idf-internet.local_5002/app"),
        ("oci://ghcr.io/team/charts", "idf-charts/app"),
    ],
)
def test_a_chart_lives_below_the_last_segment_of_its_repository(repository: str, name: str) -> None:
    assert names.chart_repository("idf", repository, "app") == name


def test_a_chart_whose_name_cannot_stand_in_ecr_is_refused() -> None:
    with pytest.raises(UserError, match="idf-charts/MyChart"):
        names.chart_repository("idf", "https://example.com/charts", "MyChart")


def test_the_plus_of_a_chart_version_becomes_an_underscore() -> None:
    tag = names.chart_tag("1.2.3+build.5")

    assert tag == "1.2.3_build.5"
    assert Reference.parse(f"ecr.example/idf-charts/app:{tag}").tag == tag
