"""What makes two requests one."""

from image_builder.building.bases import Base
from image_builder.building.known import key_of
from image_builder.building.preparation import Prepared
from image_builder.building.stages import plan
from image_builder.layers.image import Image
from image_builder.oci.reference import Reference

TARGET = Reference.parse("registry/team/any")
CHECKSUM = f"sha256:{'0' * 64}"


def _key(url: str, checksum: str | None) -> str | None:
    layers = Image("any").stage("scratch").add(url, "/a", checksum=checksum).request().layers
    return key_of(plan(layers), Prepared({0: Base(None, {})}, {}, {}, {}), TARGET)


def test_a_signature_makes_no_other_image_when_the_checksum_is_given() -> None:
    assert _key("https://files/a?signature=1", CHECKSUM) == _key("https://files/a?signature=2", CHECKSUM)
    assert _key("https://files/a", CHECKSUM) != _key("https://files/b", CHECKSUM)


def test_without_a_checksum_nobody_knows_what_comes() -> None:
    assert _key("https://files/a?signature=1", None) is None
