"""Images made without running anything, as a registry has them afterwards."""

from image_builder.layers.image import Image

from .support import Bench, Entry, file_entry


def test_the_documents_first_image(builder: Bench, base: str) -> None:
    image = Image("hello-world").stage(base, "1").entrypoint(["echo", "Hello world!"])

    result = builder.build(image)

    assert result.reference == f"{builder.registry}/team/hello-world:latest"
    pulled = builder.pull("team/hello-world:latest")
    assert pulled.config["config"]["Entrypoint"] == ["echo", "Hello world!"]
    assert "Cmd" not in pulled.config["config"]
    assert result.way == "assembled"


def test_files_arrive_where_a_link_of_the_base_leads(builder: Bench, base: str) -> None:
    image = Image("linked").stage(base, "1").file("tool", b"#!/bin/sh\n", "0755").copy("tool", "/bin/tool")

    builder.build(image)

    tree = builder.pull("team/linked:latest").tree
    assert tree["usr/bin/tool"] == file_entry(b"#!/bin/sh\n", 0o755)
    assert tree["bin"] == Entry("link", 0o777, 0, 0, "usr/bin")
