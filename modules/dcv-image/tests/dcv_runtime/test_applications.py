"""Applications in other containers draw on the session's display, when they are given its cookie."""

from pathlib import Path

import pytest

from .containers import docker
from .desktop import DRAWN, GROUP, Desktop, draw
from .pods import Pod

pytestmark = pytest.mark.engine


@pytest.fixture
def desktop(pod: Pod, tmp_path: Path) -> Desktop:
    return Desktop(pod, tmp_path)


def test_an_application_with_the_cookie_draws_on_the_display(desktop: Desktop) -> None:
    before = desktop.screen()
    said = draw(desktop.application("--group-add", str(GROUP)))

    assert said == "drawn\n"
    assert desktop.screen() == DRAWN
    assert before != DRAWN


def test_a_user_outside_the_group_cannot_read_the_cookie_and_is_refused(desktop: Desktop) -> None:
    before = desktop.screen()
    said = draw(desktop.application())

    assert "Permission denied" in said
    assert "Authorization required" in said
    assert desktop.screen() == before


def test_a_wrong_cookie_is_refused(desktop: Desktop) -> None:
    container = desktop.application("--group-add", str(GROUP))
    wrong = "head -c -16 /tmp/.X11-unix/xauthority-0 >/tmp/wrong && printf %016d 0 >>/tmp/wrong"
    docker("exec", container.name, "bash", "-c", wrong)
    before = desktop.screen()

    assert "drawn" not in draw(container, "/tmp/wrong")
    assert desktop.screen() == before
