"""What a request may say, and which field is named when it says something else."""

from typing import Any

import pytest
from image_builder.layers.request import ImageRequest, Registry, problems
from pydantic import ValidationError

STAGE = {"layer_type": "stage", "base": "python", "tag": "3.11-slim"}


def request(*layers: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"name": "hello-world", "tag": "latest", "layers": [STAGE, *layers], **fields}


def found(value: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        ImageRequest.model_validate(value)
    return problems(raised.value)


def test_the_documents_request_is_one() -> None:
    entrypoint = {"layer_type": "entrypoint", "command": ["echo", "Hello world!"]}

    parsed = ImageRequest.model_validate(request(entrypoint))

    assert [layer.layer_type for layer in parsed.layers] == ["stage", "entrypoint"]


# Every field of every layer that holds a text, with what surrounds it.
TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("base", {"layer_type": "stage"}),
    ("tag", {"layer_type": "stage", "base": "a"}),
    ("platform", {"layer_type": "stage", "base": "a"}),
    ("alias", {"layer_type": "stage", "base": "a"}),
    ("source", {"layer_type": "copy", "destination": "/x"}),
    ("destination", {"layer_type": "copy", "source": "x"}),
    ("user_id", {"layer_type": "copy", "source": "x", "destination": "/x"}),
    ("group_id", {"layer_type": "copy", "source": "x", "destination": "/x", "user_id": "0"}),
    ("permissions", {"layer_type": "copy", "source": "x", "destination": "/x"}),
    ("from_layer", {"layer_type": "copy", "source": "x", "destination": "/x"}),
    ("source", {"layer_type": "add", "destination": "/x"}),
    ("destination", {"layer_type": "add", "source": "x"}),
    ("checksum", {"layer_type": "add", "source": "https://example.com/x", "destination": "/x"}),
    ("name", {"layer_type": "arg"}),
    ("default", {"layer_type": "arg", "name": "A"}),
    ("name", {"layer_type": "label", "value": "x"}),
    ("value", {"layer_type": "label", "name": "x"}),
    ("author", {"layer_type": "maintainer"}),
    ("signal", {"layer_type": "stopsignal"}),
    ("user_id", {"layer_type": "user"}),
    ("group_id", {"layer_type": "user", "user_id": "0"}),
    ("path", {"layer_type": "workdir"}),
]
LISTS: list[tuple[str, dict[str, Any]]] = [
    ("keys", {"layer_type": "env", "values": ["x"]}),
    ("values", {"layer_type": "env", "keys": ["A"]}),
    ("ports", {"layer_type": "expose"}),
    ("paths", {"layer_type": "volume"}),
]


@pytest.mark.parametrize(
    "injected", ["a\nRUN evil", "a\rRUN evil", "a\x00b", "a\u2028b", "a\x85b", "a\x1b[31m"]
)
@pytest.mark.parametrize(("field", "rest"), TEXTS, ids=lambda value: str(value)[:60])
def test_what_could_begin_an_instruction_is_refused_by_the_fields_name(
    field: str, rest: dict[str, Any], injected: str
) -> None:
    problems_found = found(request({**rest, field: injected}))

    assert all(text.startswith(f"layers[1].{rest['layer_type']}.{field}") for text in problems_found)


@pytest.mark.parametrize("injected", ["a\nRUN evil", "a\r", "a\x00"])
@pytest.mark.parametrize(("field", "rest"), LISTS, ids=lambda value: str(value)[:60])
def test_the_same_in_lists(field: str, rest: dict[str, Any], injected: str) -> None:
    assert all(f".{field}" in text for text in found(request({**rest, field: [injected]})))


@pytest.mark.parametrize("layer_type", ["run", "cmd", "entrypoint", "shell"])
def test_commands_may_have_lines_but_no_other_controls(layer_type: str) -> None:
    def layer(text: str) -> dict[str, Any]:
        if layer_type == "shell":
            return {"layer_type": "shell", "executable": text}
        return {"layer_type": layer_type, "command": text if layer_type == "run" else [text]}

    ImageRequest.model_validate(request(layer("one\n\ttwo")))
    assert "control character" in found(request(layer("one\x00two")))[0]


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (
            {"layer_type": "run", "command": "x", "network": "host"},
            "layers[1].run.network: host: a build has no access to the network of the service",
        ),
        (
            {"layer_type": "run", "command": "x", "security": "insecure"},
            "layers[1].run.security: insecure: a build gets no privileges",
        ),
        (
            {"layer_type": "run", "command": "x", "mount": {"mount_type": "secret", "id": "a"}},
            "layers[1].run.mount: secret: requests are stored, so that they must not hold secrets",
        ),
        (
            {
                "layer_type": "run",
                "command": "x",
                "mount": {"mount_type": "bind", "target": "/m", "source": "/out", "from_layer": "maker"},
            },
            "layers[1].run.mount.bind: source: an image is mounted whole; leave it out,"
            " and use /m/out in the command",
        ),
        (
            {
                "layer_type": "run",
                "command": "x",
                "mount": {"mount_type": "cache", "target": "/c/", "source": "/out", "from_layer": "maker"},
            },
            "layers[1].run.mount.cache: source: an image is mounted whole; leave it out,"
            " and use /c/out in the command",
        ),
        (
            {
                "layer_type": "run",
                "command": "x",
                "mount": {"mount_type": "bind", "target": "/m", "enable_readwrite": True},
            },
            "layers[1].run.mount.bind: enable_readwrite: files of the request are mounted to be read;"
            " copy them to change them",
        ),
        (
            {"layer_type": "add", "source": "ftp://example.com/x", "destination": "/x"},
            "layers[1].add.source: only plain http and https URLs can be fetched",
        ),
        (
            {"layer_type": "add", "source": "git@example.com:x", "destination": "/x"},
            "layers[1].add.source: only plain http and https URLs can be fetched",
        ),
        (
            {"layer_type": "copy", "source": "http://169.254.169.254/", "destination": "/x"},
            "layers[1].copy.source: is a URL: `add` fetches one, `copy` does not",
        ),
        (
            {"layer_type": "env", "keys": ["A", "B"], "values": ["x"]},
            "layers[1].env: keys and values are no pairs: 2 and 1",
        ),
        (
            {"layer_type": "expose", "ports": [70000]},
            "layers[1].expose.ports: '70000' is no port: 80, 53/udp or 8000-8010",
        ),
        (
            {"layer_type": "copy", "source": "a", "destination": "/x", "group_id": "5"},
            "layers[1].copy: group_id needs a user_id",
        ),
    ],
)
def test_what_is_not_safe_is_refused_with_its_reason(layer: dict[str, Any], problem: str) -> None:
    assert found(request(layer)) == [problem]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "a//b", "./a", ".", "a\0b"])
def test_files_of_a_request_stay_in_their_folder(name: str) -> None:
    assert "relative path" in found(request(files={name: {"content": ""}}))[0]


def test_a_request_needs_a_stage_and_nothing_else_stands_before_it() -> None:
    run = {"layer_type": "run", "command": "x"}

    assert "there is no stage" in found({"name": "x", "layers": [{"layer_type": "arg", "name": "A"}]})[0]
    assert "run stands before the first stage" in found({"name": "x", "layers": [run, STAGE]})[0]


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://docker.io/v1/myrepo/test-images", "docker.io/myrepo/test-images"),
        ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
        ("registry.example.com/team", "registry.example.com/team"),
        ("https://registry.example.com", "registry.example.com"),
    ],
)
def test_a_registrys_address_loses_scheme_and_api_segment(url: str, prefix: str) -> None:
    assert Registry(registry_url=url).prefix == prefix


def test_a_problem_never_quotes_a_password() -> None:
    registry = {"registry_url": "a b", "registry_user": "u", "registry_password": "canary-password"}

    assert "canary" not in str(found(request(registry=registry)))


def test_memory_of_mounts_is_bounded_over_all_stages() -> None:
    """Stages are built side by side, the commands of one stage one after the other."""

    def with_mounts(*stages: list[int]) -> dict[str, Any]:
        layers: list[dict[str, Any]] = []
        for number, sizes in enumerate(stages):
            layers.append({"layer_type": "stage", "base": "base", "alias": f"s{number}"})
            for size in sizes:
                mount = {"mount_type": "tmpfs", "target": "/t", "size": size}
                layers.append({"layer_type": "run", "command": "true", "mount": mount})
        return {"name": "x", "layers": layers}

    ImageRequest.model_validate(with_mounts([1024, 1024]))
    ImageRequest.model_validate(with_mounts([512, 512], [512]))
    with pytest.raises(ValidationError, match=r"tmpfs mounts of all stages take 1025 MiB"):
        ImageRequest.model_validate(with_mounts([512, 1], [513]))


@pytest.mark.parametrize("name", ["a/" * 100_000 + "a", "ä" * 128, "a/" * 2048 + "a"])
def test_names_of_files_are_no_longer_than_linux_has_them(name: str) -> None:
    assert "is too long" in found(request(files={name: {"content": ""}}))[0]


def test_a_name_of_a_file_may_be_as_long_as_linux_has_them() -> None:
    names = ["a" * 255, "/".join(["a" * 15] * 256)]

    ImageRequest.model_validate(request(files={name: {"content": ""} for name in names}))
