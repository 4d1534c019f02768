"""What a person sees on a terminal, and what a build's log holds."""

import asyncio
import io
import re
from collections.abc import Callable, Mapping

import pytest
from dockerimage_replication import progress
from dockerimage_replication.oci.meter import Meter
from dockerimage_replication.progress import Progress
from dockerimage_replication.transfers import readable_size, readable_time

ESCAPE = "\x1b"
TERMINAL = {"TERM": "xterm-256color"}
MB = 1_000_000


class Terminal(io.StringIO):
    """A terminal of 80 columns, with the lines that a person sees on it."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        shown = [""]
        for part in re.split(r"(\r\x1b\[K|\n)", self.getvalue()):
            if part == "\n":
                shown.append("")
            elif part == "\r\x1b[K":
                shown[-1] = ""
            else:
                assert ESCAPE not in part
                shown[-1] += part
        return shown


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Run:
    """A run that shows its progress on `screen`, and logs to `log`."""

    def __init__(self, screen: io.StringIO, log: io.StringIO, environment: Mapping[str, str]) -> None:
        self.clock = Clock()
        self.meter = Meter()
        self.progress = Progress(log=log, screen=screen, clock=self.clock, environment=environment)

    def during(self, story: Callable[[], None], total: int = 70) -> None:
        """Tell the story while transfers are under way."""

        async def tell() -> None:
            async with self.progress.transfers(self.meter, total):
                story()

        asyncio.run(tell())

    def pass_seconds(self, seconds: float, transferred: int) -> None:
        self.clock.now += seconds
        self.meter.transferred += transferred
        self.progress.tick()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def run(terminal: Terminal) -> Run:
    """A run whose log and live line share a terminal."""
    return Run(terminal, terminal, TERMINAL)


@pytest.fixture
def build() -> tuple[Run, io.StringIO]:
    """A run in a build, with everything that it prints."""
    log = io.StringIO()
    return Run(log, log, {"TERM": "xterm"}), log


@pytest.mark.parametrize(("columns", "bar"), [(93, "[#####---------------] "), (92, ""), (80, "")])
def test_the_live_line_says_images_bytes_rate_and_time_left(
    run: Run, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int, bar: str
) -> None:
    """The bar is left out where it would push figures off the screen; one column stays free."""
    monkeypatch.setattr(progress, "_columns", lambda screen: columns)

    def story() -> None:
        run.meter.expected = 400 * MB
        for _ in range(10):
            run.progress.count()
        run.pass_seconds(2.0, 100 * MB)
        figures = "10 of 70 images and charts, 100.0 MB of 400.0 MB, 50.0 MB/s, 6 s left"
        assert terminal.lines()[-1] == f"{bar}{figures}"

    run.during(story)


def test_a_line_that_is_too_long_even_so_is_cut(
    run: Run, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_columns", lambda screen: 20)

    def story() -> None:
        run.pass_seconds(2.0, MB)
        assert terminal.lines()[-1] == "0 of 70 images and "

    run.during(story)


def test_the_live_line_is_redrawn_in_its_place(run: Run, terminal: Terminal) -> None:
    def story() -> None:
        run.meter.expected = 4 * MB
        for _ in range(3):
            run.pass_seconds(0.2, MB)
        assert len(terminal.lines()) == 1
        assert "3.0 MB of 4.0 MB" in terminal.lines()[0]

    run.during(story)


def test_the_log_stands_above_the_live_line(run: Run, terminal: Terminal) -> None:
    def story() -> None:
        run.pass_seconds(0.2, MB)
        run.progress.say("first")
        run.pass_seconds(0.2, MB)
        run.progress.say("second")
        assert terminal.lines()[:2] == ["[    0.2s] first", "[    0.4s] second"]
        assert "2.0 MB" in terminal.lines()[2]

    run.during(story)


def test_the_rate_is_that_of_the_last_ten_seconds(build: tuple[Run, io.StringIO]) -> None:
    run, log = build

    def story() -> None:
        run.meter.expected = 1000 * MB
        for _ in range(10):
            run.pass_seconds(1.0, 50 * MB)
        for _ in range(10):
            run.pass_seconds(1.0, 10 * MB)

    run.during(story)

    first, second, _ = log.getvalue().splitlines()
    assert "500.0 MB of 1.0 GB, 50.0 MB/s, 10 s left" in first
    assert "600.0 MB of 1.0 GB, 10.0 MB/s, 40 s left" in second


def test_bytes_alone_can_be_shown(build: tuple[Run, io.StringIO]) -> None:
    run, log = build

    def story() -> None:
        run.meter.expected = 100 * MB
        run.pass_seconds(10.0, 50 * MB)

    run.during(story, total=0)

    assert log.getvalue().splitlines() == [
        "[   10.0s] 50.0 MB of 100.0 MB, 5.0 MB/s, 10 s left",
        "[   10.0s] 50.0 MB in 10 s (5.0 MB/s)",
    ]


def test_there_is_no_time_left_without_a_rate(run: Run, terminal: Terminal) -> None:
    def story() -> None:
        run.meter.expected = 400 * MB
        run.pass_seconds(1.0, 0)
        assert terminal.lines()[-1] == f"[{'-' * 20}] 0 of 70 images and charts, 0 B of 400.0 MB"

    run.during(story)


def test_bytes_that_were_sent_twice_do_not_make_more_than_all(run: Run, terminal: Terminal) -> None:
    def story() -> None:
        run.meter.expected = 10 * MB
        run.pass_seconds(1.0, 12 * MB)
        assert terminal.lines()[-1] == (
            f"[{'#' * 20}] 0 of 70 images and charts, 12.0 MB of 12.0 MB, 12.0 MB/s"
        )

    run.during(story)


def test_the_last_line_sums_up_and_the_live_line_is_gone(run: Run, terminal: Terminal) -> None:
    def story() -> None:
        run.meter.expected = 300 * MB
        for _ in range(70):
            run.progress.count()
        run.pass_seconds(100.0, 300 * MB)

    run.during(story)

    assert terminal.lines() == [
        "[  100.0s] 70 of 70 images and charts, 300.0 MB in 1 min 40 s (3.0 MB/s)",
        "",
    ]


def test_an_interrupt_leaves_a_clean_line(run: Run, terminal: Terminal) -> None:
    def story() -> None:
        run.pass_seconds(2.0, 4 * MB)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.during(story)

    assert terminal.lines() == ["[    2.0s] 0 of 70 images and charts, 4.0 MB in 2 s (2.0 MB/s)", ""]


def test_nothing_is_drawn_when_no_transfers_are_under_way(run: Run, terminal: Terminal) -> None:
    run.progress.say("first")
    run.during(lambda: None)
    run.progress.tick()
    run.progress.say("last")

    assert [line[11:] for line in terminal.lines()] == [
        "first",
        "0 of 70 images and charts, 0 B in 0 s",
        "last",
        "",
    ]


def test_a_redirected_log_holds_only_lines(terminal: Terminal) -> None:
    log = io.StringIO()
    run = Run(terminal, log, TERMINAL)

    def story() -> None:
        run.pass_seconds(20.0, MB)
        run.progress.say("one image")

    run.during(story)

    assert [line[11:] for line in log.getvalue().splitlines()] == [
        "one image",
        "0 of 70 images and charts, 1.0 MB in 20 s (50.0 kB/s)",
    ]
    assert terminal.lines() == [""]


@pytest.mark.parametrize(
    ("screen", "environment"),
    [
        (io.StringIO, {"TERM": "xterm"}),
        (Terminal, {"TERM": "dumb"}),
        (Terminal, {}),
        (Terminal, {"TERM": "xterm", "CI": "true"}),
    ],
)
def test_without_a_terminal_that_can_redraw_there_are_no_escape_codes(
    screen: type[io.StringIO], environment: Mapping[str, str]
) -> None:
    shown = screen()
    run = Run(shown, shown, environment)

    run.during(lambda: run.pass_seconds(10.0, MB))

    assert ESCAPE not in shown.getvalue()
    assert "\r" not in shown.getvalue()
    assert len(shown.getvalue().splitlines()) == 2


def test_there_are_no_colours(terminal: Terminal) -> None:
    run = Run(terminal, terminal, {"TERM": "xterm", "NO_COLOR": "1"})

    run.during(lambda: run.pass_seconds(10.0, MB))

    assert set(re.findall(r"\x1b[^a-zA-Z]*[a-zA-Z]", terminal.getvalue())) == {"\x1b[K"}


def test_a_build_log_gets_a_line_every_ten_seconds_while_bytes_arrive(
    build: tuple[Run, io.StringIO],
) -> None:
    run, log = build

    def story() -> None:
        for _ in range(25):
            run.pass_seconds(1.0, MB)
        for _ in range(60):
            run.pass_seconds(1.0, 0)

    run.during(story)

    times = [float(line[1:8]) for line in log.getvalue().splitlines()]
    assert times == [10.0, 20.0, 30.0, 85.0]


async def test_the_meter_is_looked_at_while_work_goes_on(terminal: Terminal) -> None:
    shown = asyncio.Event()
    meter = Meter(expected=2 * MB, transferred=MB)

    class Watched(Terminal):
        def write(self, text: str) -> int:
            if "1.0 MB of 2.0 MB" in text:
                shown.set()
            return super().write(text)

    screen = Watched()
    progress = Progress(log=screen, screen=screen, environment=TERMINAL)

    async with progress.transfers(meter, 1):
        await asyncio.wait_for(shown.wait(), 10)


def test_a_run_that_transferred_nothing_had_no_rate(build: tuple[Run, io.StringIO]) -> None:
    run, log = build

    run.during(lambda: run.pass_seconds(3.0, 0))

    assert log.getvalue() == "[    3.0s] 0 of 70 images and charts, 0 B in 3 s\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")],
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert readable_time(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (3.21e12, "3210.0 GB")],
)
def test_sizes_are_readable(count: float, text: str) -> None:
    assert readable_size(count) == text
