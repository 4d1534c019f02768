"""References: what a user may write, and what it means."""

import re

import pytest
from dockerimage_replication.oci.reference import InvalidReference, Reference
from hypothesis import given
from hypothesis import strategies as st

SHA256 = f"sha256:{'a1' * 32}"
SHA512 = f"sha512:{'b2' * 64}"

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
ports = st.integers(1, 65535).map(lambda port: f":{port}")
registries = st.one_of(
    st.tuples(st.lists(labels, min_size=2, max_size=4).map(".".join), st.just("") | ports).map("".join),
    st.tuples(st.just("localhost"), st.just("") | ports).map("".join),
    st.tuples(labels, ports).map("".join),
    st.tuples(st.ip_addresses(v=4).map(str), st.just("") | ports).map("".join),
    st.tuples(st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"), st.just("") | ports).map("".join),
)
components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
repositories = st.lists(components, min_size=1, max_size=5).map("/".join)
tags = st.from_regex(re.compile(r"\w[\w.-]{0,127}", re.ASCII), fullmatch=True)
digests = st.one_of(
    st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}"),
    st.binary(min_size=64, max_size=64).map(lambda data: f"sha512:{data.hex()}"),
)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    tag, digest = draw(st.none() | tags), draw(st.none() | digests)
    return Reference(draw(registries), draw(repositories), tag if tag or digest else "latest", digest)


@given(references())
def test_a_rendered_reference_parses_to_itself(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(references(), tags, digests)
def test_a_reference_can_be_given_another_tag_or_pinned(reference: Reference, tag: str, digest: str) -> None:
    assert reference.with_tag(tag).identifier == tag
    pinned = reference.with_digest(digest)
    assert (pinned.identifier, pinned.tag) == (digest, reference.tag)


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused_with_the_text_quoted(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        assert repr(text) in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("calico/node", "docker.io/calico/node:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("registry-1.docker.io/calico/node:v3", "docker.io/calico/node:v3"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x:1", "localhost:5000/x:1"),
        ("registry:5000/x", "registry:5000/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("QUAY.io/calico/node:V3", "quay.io/calico/node:V3"),
        (f"quay.io/a/b@{SHA256}", f"quay.io/a/b@{SHA256}"),
        (f"quay.io/a/b:v1@{SHA512}", f"quay.io/a/b:v1@{SHA512}"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/idf-quay.io/calico/node:v3",) * 2,
    ],
)
def test_short_forms_mean_what_docker_makes_of_them(text: str, rendered: str) -> None:
    assert str(Reference.parse(text)) == rendered


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the repository is missing"),
        ("quay.io/", "the repository is missing"),
        ("quay.io/Calico", "'Calico' is not a repository"),
        ("quay.io/a//b", "'a//b' is not a repository"),
        ("quay.io/a/../b", "'a/../b' is not a repository"),
        ("https://quay.io/a", "is not a re"),
        ("quay.io/a:", "'' is not a tag"),
        ("quay.io/a:b:c", "'b:c' is not a tag"),
        (f"quay.io/a:{'t' * 129}", "is not a tag"),
        ("quay.io/a@", "'' is not a sha256 or sha512 digest"),
        ("quay.io/a@sha256:abc", "'sha256:abc' is not a sha256 or sha512 digest"),
        (f"quay.io/a@{SHA256.upper()}", "is not a sha256 or sha512 digest"),
        ("quay.io:99999/a", "'quay.io:99999' is not a registry host"),
        ("quay.io:0/a", "'quay.io:0' is not a registry host"),
        ("[:::]:5000/a", "'[:::]:5000' is not a registry host"),
        ("user@quay.io/a", "is not a sha256 or sha512 digest"),
        ("quay.io\n/a", "is not a registry host"),
        (f"quay.io/{'a' * 255}", "longer than 255 characters"),
    ],
)
def test_an_invalid_reference_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        Reference.parse(text)
    assert problem in str(refused.value)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (("quay.io", "a", None), "neither tag nor digest"),
        (("docker.io", "nginx", "1"), "docker.io/library/<name>"),
        (("index.docker.io", "library/nginx", "1"), "docker.io/library/<name>"),
    ],
)
def test_a_reference_made_of_parts_is_checked_too(parts: tuple[str, str, str | None], problem: str) -> None:
    with pytest.raises(InvalidReference, match=problem):
        Reference(*parts)
