"""The order of builds, and what is said when some fail."""

import pytest
from kvdi_desktops.building import build_all
from kvdi_desktops.catalogue import Catalogue, Desktop, Image, System
from kvdi_desktops.shared.errors import UserError
from kvdi_desktops.shared_build.registry import PublishedImage

SYSTEMS = {"debian": System(families=["supervisord"], state="linted")}


def desktop(parent: str | None) -> Desktop:
    return Desktop(title="x", description="x", parent=parent, systems=SYSTEMS)


CATALOGUE = Catalogue(
    {"a": desktop("b"), "b": desktop("c"), "c": desktop(None), "d": desktop("c"), "e": desktop(None)}
)
IMAGES = CATALOGUE.select(["*"])


def test_every_image_gets_what_its_parent_became() -> None:
    seen: dict[str, str | None] = {}

    def publish(image: Image, parent: PublishedImage | None) -> PublishedImage:
        seen[image.desktop] = parent.digest if parent else None
        return PublishedImage(f"digest of {image.desktop}", {})

    built = build_all(IMAGES, publish)

    assert seen == {"c": None, "b": "digest of c", "a": "digest of b", "d": "digest of c", "e": None}
    assert {image.digest for image in built.values()} == {f"digest of {name}" for name in "abcde"}


def test_the_failure_of_one_stops_its_descendants_only() -> None:
    tried = []

    def publish(image: Image, _: PublishedImage | None) -> PublishedImage:
        tried.append(image.desktop)
        if image.desktop == "b":
            raise UserError("no space left")
        return PublishedImage("sha256:0", {})

    with pytest.raises(UserError) as raised:
        build_all(IMAGES, publish)

    assert sorted(tried) == ["b", "c", "d", "e"]
    assert str(raised.value).splitlines() == [
        "2 of 5 images could not be built or published:",
        "  - debian-supervisord-b: no space left",
        "  - debian-supervisord-a: was not built, because debian-supervisord-b failed",
    ]


def test_what_is_no_users_error_ends_the_run_at_once() -> None:
    def publish(image: Image, _: PublishedImage | None) -> PublishedImage:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_all(IMAGES, publish)
