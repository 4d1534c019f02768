"""Programs that stand for what people work with: one that tells its input, one that copies and pastes."""

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import tones
from desktops import sidecar
from desktops.pod import Pod

WINDOW_SECONDS = 60.0
INTERVAL = 0.2  # seconds; a window's title is no event for those who are not its client
CLIP = "/tmp/xclip"


@dataclass
class EventLog:
    """`xev` on the desktop: prints what arrives at its window."""

    process: "subprocess.Popen[bytes]"
    text: str = field(default="")

    def wait_for(self, pattern: str, seconds: float = 20.0) -> "re.Match[str]":
        """Read until a line is like the pattern."""
        deadline = time.monotonic() + seconds
        output = self.process.stdout
        assert output is not None
        while True:
            if found := re.search(pattern, self.text):
                return found
            left = deadline - time.monotonic()
            ready = select.select([output], [], [], max(0.0, left))[0]
            part = os.read(output.fileno(), 1 << 16) if ready else b""
            assert part, f"no event is like {pattern!r}:\n{self.text[-2000:]}"
            self.text += part.decode(errors="replace")


@contextmanager
def event_log(pod: Pod) -> Iterator[EventLog]:
    """An application with a window of 400 x 300 pixels in the middle of the desktop."""
    command = [
        *(pod.docker.program, "exec", f"--user={pod.launch.desktop_uid}", f"--env=DISPLAY={pod.display}"),
        *(pod.container, "xev", "-geometry", "400x300+300+200"),
    ]
    environment = {**os.environ, **pod.docker.environment}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = EventLog(process)
    try:
        log.wait_for("MapNotify event")
        yield log
    finally:
        # The client of the engine ends; its program on the desktop ends by name, in this container alone.
        process.kill()
        process.wait()
        pod.execute("sh", "-c", END_XEV)


END_XEV = "for f in /proc/[0-9]*/comm; do read -r n <$f; [ $n != xev ] || kill ${f//[!0-9]/}; done".replace(
    "${f//[!0-9]/}", "$(echo $f | tr -dc 0-9)"
)


def wait_for_window(pod: Pod, title: str) -> None:
    """Wait until a window has this in its title or class, as xwininfo prints them."""
    deadline = time.monotonic() + WINDOW_SECONDS
    while title not in (windows := _windows(pod)):
        assert time.monotonic() < deadline, f"no window has {title!r}:\n{windows}\n{pod.log_tail}"
        time.sleep(INTERVAL)


def wait_for_another(pod: Pod, program: str, ended: list[int]) -> None:
    """Wait until the program runs as another process than those that have ended."""
    deadline = time.monotonic() + WINDOW_SECONDS
    while not set(pod.programs(program)) - set(ended):
        assert time.monotonic() < deadline, f"{program} was not started again\n{pod.log_tail}"
        time.sleep(INTERVAL)


def _windows(pod: Pod) -> str:
    return pod.execute("env", f"DISPLAY={pod.display}", "xwininfo", "-root", "-tree").stdout


def copy_on_desktop(pod: Pod, text: str) -> None:
    """An application on the desktop copies a text."""
    _bring_clip(pod)
    script = f'printf %s "$1" | DISPLAY={pod.display} {CLIP} -selection clipboard -i >/dev/null 2>&1'
    done = pod.execute("sh", "-c", script, "sh", text)
    assert done.returncode == 0, done.stderr


def paste_on_desktop(pod: Pod) -> str:
    """What an application on the desktop gets when it pastes."""
    _bring_clip(pod)
    script = f"DISPLAY={pod.display} LANG=C.UTF-8 timeout 20 {CLIP} -selection clipboard -o"
    done = pod.execute("sh", "-c", script)
    return done.stdout if done.returncode == 0 else done.stderr


@contextmanager
def with_sound(pod: Pod, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program on the desktop that uses the sound server, with pipes."""
    server = f"--env=PULSE_SERVER=unix:{sidecar.SERVER}"
    user = f"--user={pod.launch.desktop_uid}"
    whole = [pod.docker.program, "exec", "--interactive", user, server, pod.container, *command]
    environment = {**os.environ, **pod.docker.environment}
    process = subprocess.Popen(whole, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def play_on_desktop(pod: Pod, session: sidecar.Sidecar, played: tones.Samples, rate: int) -> tones.Samples:
    """An application on the desktop plays a tone; return what of it arrives at the sidecar."""
    options = ("--format=s16le", f"--rate={rate}", "--channels=1", "--raw")
    with session.listen(rate) as browser:
        try:
            with with_sound(pod, "pacat", "--playback", *options) as player:
                player.communicate(played.tobytes(), timeout=60)
                assert player.returncode == 0
            return tones.heard(browser, rate)
        finally:
            browser.kill()


def _bring_clip(pod: Pod) -> None:
    """The images have no such program; this machine's runs there, for it is the same Debian."""
    here = shutil.which("xclip")
    assert here, "xclip is not installed: ./scripts/test does it"
    target = pod.on_host(CLIP)
    if not target.exists():
        shutil.copy(here, target)
        target.chmod(0o755)
