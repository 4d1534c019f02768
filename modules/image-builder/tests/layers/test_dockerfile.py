"""Generated Dockerfiles say what the layers say, to a parser that shares nothing with the generator."""

import io
import json
import shlex
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser
from hypothesis import given
from hypothesis import strategies as st
from image_builder.layers.dockerfile import AnyLayer, render
from image_builder.layers.image import Image
from image_builder.layers.models import Add, Cmd, Copy, Run
from image_builder.layers.mounts import BindMount, CacheMount, TmpfsMount
from pydantic import ValidationError


def parsed(text: str) -> list[tuple[str, str]]:
    """Instructions and their values, as the independent parser reads them."""
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode()))
    return [(item["instruction"], item["value"]) for item in parser.structure]


def one(image: Image) -> tuple[str, str]:
    """The one instruction behind the stage, read and as text."""
    structure = parsed(image.dockerfile())
    assert len(structure) == 2, structure
    return structure[1]


def every_layer() -> Image:
    return (
        Image("all")
        .arg("VERSION", "1")
        .stage("python", "3.11-slim", alias="first", platform="linux/amd64")
        .add("archive.tar", "/srv/", user_id="1000", group_id="1001", permissions="0750")
        .add("https://example.com/x?y=z", "/x", checksum=f"sha256:{'0' * 64}")
        .copy("a", "/b", user_id="app", link=True)
        .copy("/c", "/d", from_layer="first")
        .arg("NAME")
        .cmd(["a", 1, True])
        .entrypoint(["/bin/sh", "-c", "echo \"$HOME\" 'x'"])
        .env(["A", "B"], ['say "hi" $A \\', 2.5])
        .expose([80, "53/udp", "8000-8010"])
        .healthcheck(["true"], interval=1.5, timeout=2, start_period=4, retries=3)
        .label("org.example.x", "a b")
        .maintainer("Someone <someone@example.com>")
        .onbuild(Run(command="true"))
        .run("x <<EOF\n# not a comment \\\nEOF", BindMount(target="/m", source="a", enable_readonly=True))
        .run("x", CacheMount(target="/c", id="c", sharing="locked", mode="0700", user_id=1, group_id=2))
        .run("x", TmpfsMount(target="/t", size=5), network="none")
        .shell("/bin/bash", ["-ec"])
        .stopsignal("SIGTERM")
        .user("app", "staff")
        .volume(["/data", "/more"])
        .workdir("/srv")
    )


def test_every_layer_is_one_instruction() -> None:
    image = every_layer()

    names = [name for name, _ in parsed(image.dockerfile())]

    renamed = {"stage": "FROM"}
    assert names == [renamed.get(layer.layer_type, layer.layer_type.upper()) for layer in image.layers]


def test_the_same_layers_give_the_same_text() -> None:
    assert every_layer().dockerfile() == every_layer().dockerfile()


def test_times_and_mounts_are_written_as_the_reference_has_them() -> None:
    lines = every_layer().dockerfile().splitlines()

    assert (
        'HEALTHCHECK --interval=1500ms --timeout=2000ms --start-period=4000ms --retries=3 CMD ["true"]'
        in lines
    )
    assert any(line.startswith("RUN --mount=type=bind,target=/m,source=a,ro [") for line in lines)
    assert any(
        line.startswith("RUN --mount=type=cache,target=/c,id=c,sharing=locked,mode=0700,uid=1,gid=2 [")
        for line in lines
    )
    assert any(line.startswith("RUN --mount=type=tmpfs,target=/t,size=5m --network=none [") for line in lines)


def test_a_shell_holds_until_the_next_stage() -> None:
    image = Image("x").stage("a").shell("/bin/bash", ["-c"]).run("one").stage("b").run("two")

    commands = [json.loads(value) for name, value in parsed(image.dockerfile()) if name == "RUN"]

    assert commands == [["/bin/bash", "-c", "one"], ["/bin/sh", "-c", "two"]]


SPECIAL = [
    *(
        "a\nRUN evil",
        "a\\\nRUN evil",
        "<<EOF\nRUN evil\nEOF",
        "# syntax=evil",
        "$(evil)",
        "`evil`",
        '" RUN "',
    ),
    *(
        "' '",
        "\\",
        "\\\\",
        '\\"',
        "${x",
        "${x:?y}",
        "$x",
        "\\$x",
        "--from=evil",
        "[",
        '["a"',
        "a b",
        "\t",
        "",
    ),
    *("é\u00a0", "\u2028", "\ud800", "=", "a=b"),
]
hostile = st.one_of(st.text(max_size=60), st.sampled_from(SPECIAL))


@given(st.lists(hostile, min_size=1, max_size=4))
def test_arguments_arrive_as_they_are(arguments: list[str]) -> None:
    try:
        layer = Cmd.model_validate({"command": arguments})
    except ValidationError:
        return
    name, value = one(Image("x").stage("a").cmd(layer.command))

    assert (name, json.loads(value)) == ("CMD", arguments)


@given(hostile.filter(bool))
def test_commands_arrive_as_they_are(command: str) -> None:
    try:
        image = Image("x").stage("a").run(command)
    except ValidationError:
        return
    name, value = one(image)

    assert (name, json.loads(value)) == ("RUN", ["/bin/sh", "-c", command])


@given(hostile)
def test_values_are_one_quoted_word_each(value: str) -> None:
    try:
        image = Image("x").stage("a").env(["A", "B"], [value, "last"])
    except ValidationError:
        return
    name, text = one(image)

    words = shlex.split(text.replace("\\$", "\\\\$"))  # a shell's words: it keeps `\$` as it is
    assert name == "ENV"
    assert words == [f"A={value}", "B=last"]


FIELDS: list[tuple[type[Any], str, dict[str, Any]]] = [
    (Copy, "source", {"destination": "/x"}),
    (Copy, "destination", {"source": "x"}),
    (Copy, "from_layer", {"source": "x", "destination": "/x"}),
    (Copy, "user_id", {"source": "x", "destination": "/x"}),
    (Add, "source", {"destination": "/x"}),
]


@pytest.mark.parametrize(("model", "field", "rest"), FIELDS)
@given(text=hostile)
def test_no_field_of_a_file_layer_makes_a_second_instruction(
    model: type[Any], field: str, rest: dict[str, Any], text: str
) -> None:
    try:
        layer: AnyLayer = model(**{**rest, field: text})
    except ValidationError:
        return
    ((name, value),) = parsed(render([layer]))

    assert name == model.__name__.upper()
    source, destination = json.loads(value[value.index("[") :])
    assert {"source": source, "destination": destination}.get(field, text) == text


def test_no_start_period_is_left_out_since_not_every_parser_takes_it() -> None:
    image = Image("x").stage("a").healthcheck(["true"], start_period=0)

    assert one(image) == ("HEALTHCHECK", 'CMD ["true"]')
