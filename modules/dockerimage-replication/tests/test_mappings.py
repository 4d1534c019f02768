"""`docker_mappings`: where images are fetched from."""

import pytest
from dockerimage_replication.mappings import DockerMappings
from dockerimage_replication.oci.reference import Reference
from hypothesis import given
from hypothesis import strategies as st

MAPPINGS = DockerMappings(
    {"quay.io": "proxy.example/quay", "docker.io": "proxy.example/hub", "default": "mirror.example"}
)


@pytest.mark.parametrize(
    ("written", "fetched"),
    [
        ("quay.io/calico/node:v3", "proxy.example/quay/calico/node:v3"),
        ("calico/node:v3", "proxy.example/hub/calico/node:v3"),
        ("docker.io/calico/node:v3", "proxy.example/hub/calico/node:v3"),
        ("busybox:1", "proxy.example/hub/library/busybox:1"),
        ("ghcr.io/a/b:1", "mirror.example/a/b:1"),
        (f"quay.io/a@sha256:{'0' * 64}", f"proxy.example/quay/a@sha256:{'0' * 64}"),
    ],
)
def test_the_registry_is_replaced_by_the_prefix(written: str, fetched: str) -> None:
    assert str(MAPPINGS.image(Reference.parse(written))) == fetched


def test_a_prefix_without_a_dot_is_a_host_all_the_same() -> None:
    mappings = DockerMappings({"quay.io": "my-hosted-image/quay"})

    assert mappings.image(Reference.parse("quay.io/a:1")).registry == "my-hosted-image"


def test_a_key_is_a_whole_host_and_not_its_beginning() -> None:
    mappings = DockerMappings({"quay.io": "proxy.example"})

    assert str(mappings.image(Reference.parse("quay.io:8443/a:1"))) == "quay.io:8443/a:1"


def test_the_default_does_not_apply_to_charts() -> None:
    assert str(MAPPINGS.chart(Reference.parse("ghcr.io/charts/app:1"))) == "ghcr.io/charts/app:1"
    assert str(MAPPINGS.chart(Reference.parse("quay.io/charts/app:1"))) == "proxy.example/quay/charts/app:1"


def test_credentials_may_go_to_the_targets() -> None:
    assert MAPPINGS.target_hosts == {"proxy.example", "mirror.example"}


@given(
    st.sampled_from(["quay.io", "ghcr.io", "internet.local:5001"]),
    st.from_regex(r"[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}", fullmatch=True),
    st.sampled_from(["proxy.example", "proxy.example:8443/a/b"]),
)
def test_path_and_tag_are_kept_whatever_the_mapping(host: str, path: str, prefix: str) -> None:
    mapped = DockerMappings({host: prefix}).image(Reference.parse(f"{host}/{path}:v1"))

    assert str(mapped) == f"{prefix}/{path}:v1"
