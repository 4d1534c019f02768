"""What counts as an image in an object, and what does not."""

import base64
import json
import string
from typing import Any

import pytest
import yaml
from dockerimage_replication.charts.untrusted_yaml import UntrustedYamlError
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.proof.objects import rendered_objects
from dockerimage_replication.proof.references import Named, Names, named_images
from dockerimage_replication.proof.registries import Known
from hypothesis import given
from hypothesis import strategies as st
from replication_support import ECR_HOST

DIGEST = f"sha256:{'a' * 64}"
KNOWN = Known.of(["calico/node:v3", "redis:7.2", "registry.corp:5000/team/app:1"], ["mirror.corp"])


def found(tree: Any, kind: str = "Thing") -> list[Named]:  # noqa: ANN401 - any tree
    document = {"kind": kind, "metadata": {"name": "x"}, **tree}
    (rendered,) = rendered_objects(yaml.safe_dump(document).encode())
    return named_images(rendered, KNOWN)


def texts(tree: Any, kind: str = "Thing") -> list[str]:  # noqa: ANN401 - any tree
    return [named.text for named in found(tree, kind)]


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        # A container has an image, whatever it is called.
        ({"spec": {"containers": [{"image": "nginx"}]}}, "nginx"),
        ({"spec": {"template": {"spec": {"initContainers": [{"image": "a/b"}]}}}}, "a/b"),
        ({"spec": {"ephemeralContainers": [{"image": f"host:5000/b@{DIGEST}"}]}}, f"host:5000/b@{DIGEST}"),
        ({"spec": {"volumes": [{"image": {"reference": "a/model:1"}}]}}, "a/model:1"),
        # Keys that say so.
        ({"spec": {"image": "nginx"}}, "nginx"),
        ({"spec": {"imageName": "foo/postgres:16"}}, "foo/postgres:16"),
        ({"spec": {"kubeProxyImage": "foo/proxy:16"}}, "foo/proxy:16"),
        ({"spec": {"images": ["foo/a:1"]}}, "foo/a:1"),
        ({"spec": {"workload_image": "foo/a:1"}}, "foo/a:1"),
        # Parts.
        ({"spec": {"image": {"repository": "foo/a", "tag": "1"}}}, "foo/a:1"),
        ({"spec": {"image": {"registry": "quay.io", "repository": "foo/a", "tag": "1"}}}, "quay.io/foo/a:1"),
        ({"spec": {"a": {"registry": "quay.io/", "image": "foo/a", "tag": "1"}}}, "quay.io/foo/a:1"),
        ({"spec": {"a": {"image": "quay.io/foo/a", "sha": "a" * 64}}}, f"quay.io/foo/a@{DIGEST}"),
        ({"spec": {"a": {"repository": "foo/a", "tag": "1", "digest": DIGEST}}}, f"foo/a:1@{DIGEST}"),
        ({"spec": {"image": {"name": "foo/a", "tag": "1"}}}, "foo/a:1"),
        # Arguments and variables.
        ({"args": ["--image=busybox"]}, "busybox"),
        ({"args": ["--acme-http01-solver-image=quay.io/foo/solver:v1"]}, "quay.io/foo/solver:v1"),
        ({"args": ["--prometheus-default-base-image=quay.io/foo/prometheus"]}, "quay.io/foo/prometheus"),
        ({"command": ["/run", "--helper-image", "foo/helper:1"]}, "foo/helper:1"),
        ({"command": ["sh", "-c", "exec run --image=foo/helper:1 --verbose"]}, "foo/helper:1"),
        ({"env": [{"name": "RELATED_IMAGE_NODE", "value": "foo/node:1"}]}, "foo/node:1"),
        ({"env": [{"name": "SIDECAR_IMAGE", "value": "foo/node"}]}, "foo/node"),
        ({"args": ["--db-repository", "ghcr.io/foo/db:2"]}, "ghcr.io/foo/db:2"),
        # A registry that is known, anywhere.
        ({"note": "runs docker.io/foo/a:1 at night."}, "docker.io/foo/a:1"),
        ({"note": "quay.io/foo/a:$(VERSION)"}, "quay.io/foo/a"),
        ({"note": "oci://ghcr.io/foo/policies:v1"}, "ghcr.io/foo/policies:v1"),
        ({"note": "mirror.corp/foo"}, "mirror.corp/foo"),
        ({"note": "registry.corp:5000/other/app:2"}, "registry.corp:5000/other/app:2"),
        ({"note": f"{ECR_HOST}/foo"}, f"{ECR_HOST}/foo"),
        ({"note": "europe-docker.pkg.dev/foo/a/b:1"}, "europe-docker.pkg.dev/foo/a/b:1"),
        # An image that is known, anywhere.
        ({"note": "uses calico/node:v4"}, "calico/node:v4"),
        ({"note": "uses redis:7.2"}, "redis:7.2"),
        # Registries by themselves.
        ({"spec": {"registry": "quay.io/"}}, "quay.io"),
        ({"spec": {"imageRegistry": "ghcr.io/foo"}}, "ghcr.io/foo"),
        ({"args": ["--registry=docker.io"]}, "docker.io"),
        # Documents in documents.
        ({"data": {"a.yaml": "- spec:\n    image: foo/a:1\n"}}, "foo/a:1"),
        ({"data": {"a.yaml": "a: 1\n---\nimage: foo/a:1\n"}}, "foo/a:1"),
        ({"data": {"pod": "spec:\n  containers:\n  - image: nginx\n"}}, "nginx"),
        ({"data": {"run.sh": "#!/bin/sh\nexec ctr pull 'ghcr.io/foo/a:1' && :\n"}}, "ghcr.io/foo/a:1"),
        ({"metadata": {"name": "x", "annotations": {"a": '{"b": [{"image": "foo/a:1"}]}'}}}, "foo/a:1"),
    ],
)  # fmt: skip
def test_an_image(tree: dict[str, Any], text: str) -> None:
    assert texts(tree) == [text]


@pytest.mark.parametrize(
    "tree",
    [
        {"spec": {"imagePullPolicy": "IfNotPresent", "imagePullSecrets": [{"name": "quay.io"}]}},
        {"metadata": {"name": "x", "labels": {"kubernetes.io/name": "calico", "helm.sh/chart": "redis-7.2"}}},
        {"args": ["--label=app:web", "--addr=redis:6379", "--listen=:8080", "calico:node"]},
        {"args": ["--url=https://quay.io/foo/a", "https://ghcr.io/v2/", "http://x?image=quay.io/foo/a"]},
        {"args": ["/var/lib/docker.io/foo", "--config=/etc/quay.io/foo.yaml", "./quay.io/x"]},
        {"args": ["--image-pull-policy=Always", "--image-gc=true", "--use-image=true", "--image=$(IMAGE)"]},
        {"env": [{"name": "IMAGE_PULL_SECRET", "value": "foo/bar:1"}, {"name": "IMAGES", "value": "3"}]},
        {"spec": {"repository": "https://github.com/foo/a", "tag": "v1"}},
        {"spec": {"repository": "git@github.com:foo/a.git", "tag": "v1"}},
        {"spec": {"image": "logo.png", "image_name": "true", "images": []}},
        {"spec": {"image": "", "sidecarImage": "none", "defaultImage": "false"}},
        {"spec": {"registry": "https://quay.io", "imageRegistry": "", "pluginRegistry": "local"}},
        {"spec": {"image": {"pullPolicy": "Always", "repository": "", "tag": "1"}}},
        {"rules": [{"apiGroups": ["image.openshift.io"], "resources": ["images", "images/status"]}]},
        {"spec": {"match": ["ghcr.io/foo/*", "quay.io/", "quay.io"]}},
        {"spec": {"containers": [{"image": "{{ .Values.image }}"}, {"name": "image", "args": ["quay"]}]}},
        {"data": {"values": "image: icon\nlogo: img/logo.svg\n# image: quay.io/foo/a:1\n"}},
        {"data": {"template": "containers:\n- image: {{ .Image }}\n"}},
    ],
)  # fmt: skip
def test_no_image(tree: dict[str, Any]) -> None:
    assert texts(tree) == []


def test_a_container_must_have_an_image() -> None:
    (named,) = found({"spec": {"containers": [{"image": "quay.io/foo/:1"}]}})

    assert (named.names, named.text) == (Names.NOTHING, "quay.io/foo/:1")


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({"containers": [{"image": "nginx"}]}, Names.IMAGE),
        ({"image": {"repository": "foo/a"}}, Names.REPOSITORY),
        ({"args": ["--image-repository=foo/a"]}, Names.REPOSITORY),
        ({"note": "quay.io/foo"}, Names.REPOSITORY),
        ({"note": "quay.io/foo:1"}, Names.IMAGE),
        ({"registry": "quay.io"}, Names.REGISTRY),
    ],
)
def test_a_name_without_a_tag_is_the_latest_image_only_where_one_is_pulled(
    tree: dict[str, Any], names: Names
) -> None:
    assert [named.names for named in found(tree)] == [names]


def test_the_description_of_a_kind_names_no_images_but_its_defaults() -> None:
    schema = {"properties": {"image": {"description": "as quay.io/foo/a:1", "example": "quay.io/foo/a:2"}}}
    default = {"properties": {"image": {"default": "quay.io/foo/a:3"}}}

    assert texts({"spec": {"a": schema, "b": default}}, "CustomResourceDefinition") == ["quay.io/foo/a:3"]


def test_a_secret_is_read_behind_its_base64() -> None:
    encoded = base64.b64encode(b"agent:\n  image: foo/a:1\n").decode()

    assert texts({"data": {"a.yaml": encoded, "key": base64.b64encode(b"\xff\xfe").decode()}}, "Secret") == [
        "foo/a:1"
    ]


@pytest.mark.parametrize(
    ("registry", "text"), [("mirror/x/", "mirror/x"), ("", "the operator's default registry")]
)
def test_calicos_operator_composes_images_with_a_registry(registry: str, text: str) -> None:
    installation = {"apiVersion": "operator.tigera.io/v1", "spec": {"registry": registry}}

    (named,) = found(installation, "Installation")
    assert (named.text, named.names) == (text, Names.REGISTRY)


def test_the_place_is_one_that_people_find() -> None:
    tree = {"spec": {"a.b/c": [{"containers": [{"image": "nginx"}]}]}}

    assert [named.where for named in found(tree)] == ["Thing/x spec[a.b/c][0].containers[0].image"]


def test_the_objects_of_a_list_are_objects() -> None:
    raw = b"""
kind: ConfigMapList
items:
- kind: ConfigMap
  metadata: {name: one}
- kind: ConfigMap
  metadata: {name: two}
---
# nothing
---
kind: Pod
metadata: {name: three}
"""
    assert [str(item) for item in rendered_objects(raw)] == ["ConfigMap/one", "ConfigMap/two", "Pod/three"]


def test_aliases_do_not_multiply_the_work() -> None:
    """Nine levels of nine aliases each are 9^9 images."""
    lines = ["kind: Thing", "a0: &a0 {image: 'foo/a:1'}"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    lines += ["loop: &loop [*loop]"]
    (rendered,) = rendered_objects("\n".join(lines).encode())

    assert [named.text for named in named_images(rendered, KNOWN)] == ["foo/a:1"]


def test_output_that_is_no_yaml_is_an_error() -> None:
    with pytest.raises(UntrustedYamlError):
        rendered_objects(b"a: [")


COMPONENT = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
PARTS = st.lists(COMPONENT, min_size=1, max_size=3).map("/".join)
IMAGES = st.builds(
    "{}/{}:v{}".format,
    st.sampled_from(["quay.io", "ghcr.io", "registry.k8s.io", "mirror.corp"]),
    PARTS,
    COMPONENT,
)
KEYS = st.text(string.ascii_letters + "_-./", min_size=1, max_size=8)
# What stands around an image: none of it may hide it.
WRAPPERS = st.sampled_from(
    [
        lambda key, value: {key: value},
        lambda key, value: [key, value],
        lambda key, value: {key: [{"other": "text"}, value]},
        lambda key, value: {"data": {key: json.dumps({key: value})}},
        lambda key, value: {"data": {key: yaml.safe_dump({key: value, "and": "more"})}},
        lambda key, value: {"env": [{"name": key, "value": value}]},
    ]
)


@given(IMAGES, st.lists(st.tuples(WRAPPERS, KEYS), max_size=3))
def test_no_place_hides_an_image_of_a_known_registry(image: str, wrappers: list[tuple[Any, str]]) -> None:
    tree: Any = image
    for wrap, key in wrappers:
        tree = wrap(key, tree)

    assert image in texts({"spec": tree})


@given(
    IMAGES,
    st.text(string.ascii_letters + " \n", max_size=20),
    st.sampled_from([" ", "'", '"', "\n", ",", "="]),
)
def test_no_text_around_it_hides_an_image_of_a_known_registry(image: str, around: str, between: str) -> None:
    assert image in texts({"note": f"{around}{between}{image}{between}{around}"})


@given(st.text())
def test_every_text_that_counts_as_an_image_is_a_reference(text: str) -> None:
    for named in found({"spec": {"image": text, "note": text, "args": [text, f"--image={text}"]}}):
        Reference.parse(named.text)


TREES = st.recursive(
    st.text(max_size=20), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@given(TREES)
def test_any_tree_can_be_looked_at(tree: Any) -> None:  # noqa: ANN401 - any tree
    found({"spec": tree})
