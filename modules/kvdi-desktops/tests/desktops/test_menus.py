"""Nothing on a desktop that can be clicked leads nowhere."""

import re
import shlex
from collections.abc import Callable, Iterator

import pytest
from desktop_support import built_here
from desktops.pod import Pod

pytestmark = pytest.mark.engine

WITH_MENUS = [name for name in built_here() if not name.endswith("-base")]
# Entries that stand for whichever program is preferred: the kind, and what XFCE has for it.
PREFERRED = "exo-open"
HELPERS = "/usr/share/xfce4/helpers"


@pytest.mark.parametrize("name", WITH_MENUS)
def test_every_entry_starts_a_program_that_is_there(shared: Callable[[str], Pod], name: str) -> None:
    desktop = shared(name)
    programs = {program for entry in _entries(desktop) for program in _programs(entry)}
    programs |= set(_openbox_commands(desktop))
    assert programs, "there is nothing to start"

    assert _missing(desktop, programs) == []


@pytest.mark.parametrize("name", WITH_MENUS)
def test_every_kind_of_preferred_program_has_one(shared: Callable[[str], Pod], name: str) -> None:
    desktop = shared(name)
    kinds = {
        kind
        for entry in _entries(desktop)
        for kind in re.findall(rf"^Exec={PREFERRED} --launch (\w+)", entry, re.MULTILINE)
    }
    helpers = _files(desktop, HELPERS)

    for kind in kinds:
        binaries = {
            binary
            for helper in helpers
            if re.search(rf"^X-XFCE-Category={kind}$", helper, re.MULTILINE)
            for line in re.findall(r"^X-XFCE-Binaries=(.*)$", helper, re.MULTILINE)
            for binary in filter(None, line.split(";"))
        }
        assert set(_missing(desktop, binaries)) < binaries, f"no program is there for {kind}"


def _entries(desktop: Pod) -> Iterator[str]:
    """The main group of each menu entry that is shown."""
    for text in _files(desktop, "/usr/share/applications"):
        main = (
            text.split("\n[", 2)[0]
            if text.startswith("[Desktop Entry]")
            else text.partition("[Desktop Entry]")[2]
        )
        main = main.split("\n[")[0]
        if not re.search(r"^(NoDisplay|Hidden)=true", main, re.MULTILINE):
            yield main


def _programs(entry: str) -> Iterator[str]:
    for line in re.findall(r"^(?:Exec|TryExec)=(.*)$", entry, re.MULTILINE):
        words = [word for word in shlex.split(line) if "=" not in word and word != "env"]
        yield words[0]


def _openbox_commands(desktop: Pod) -> Iterator[str]:
    done = desktop.execute("cat", "/etc/xdg/openbox/menu.xml")
    for command in re.findall(r"<(?:execute|command)>\s*([^<]+?)\s*</", done.stdout):
        yield shlex.split(command)[0]


def _files(desktop: Pod, folder: str) -> list[str]:
    script = 'for f in "$1"/*.desktop; do [ ! -f "$f" ] || { cat "$f"; printf "\\n\\001"; }; done'
    return [
        text.lstrip()
        for text in desktop.execute("sh", "-c", script, "sh", folder).stdout.split("\x01")
        if text.strip()
    ]


def _missing(desktop: Pod, programs: set[str]) -> list[str]:
    script = 'for p; do command -v "$p" >/dev/null || echo "$p"; done'
    return sorted(desktop.execute("sh", "-c", script, "sh", *sorted(programs)).stdout.split())
