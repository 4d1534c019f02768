"""supervisord in this very process: a start has to load Python once, not twice."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

from . import groups
from .errors import say
from .later import load_later

# supervisord uses it for plug-ins alone; to load it takes longer than all the rest of a start.
load_later("pkg_resources")
from supervisor import events, options, supervisord  # type: ignore[import-not-found]  # noqa: E402

CONFIGURATION = "/etc/supervisor/supervisord.conf"
# kVDI's hook before a stop sends it to the first process of every family: systemd's signal for halting.
STOP_SIGNAL = signal.SIGRTMIN + 3
ESSENTIAL = "vnc"
# How long what a stopped program has started may take to end: seconds.
PATIENCE_SECONDS = 3.0


class Wakeup:
    """Makes supervisord look up as soon as a signal comes: its own wait, of a second, goes on through it."""

    def __init__(self) -> None:
        self.descriptor, sender = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(sender, False)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)

    def readable(self) -> bool:
        """Signals come in."""
        return True

    def writable(self) -> bool:
        """Nothing goes out."""
        return False

    def handle_read_event(self) -> None:
        """Forget what came; the loop looks for itself what it meant."""
        os.read(self.descriptor, 4096)


class DesktopSupervisor(supervisord.Supervisor):  # type: ignore[misc]
    """supervisord that starts everything at once, and ends when the VNC server cannot be kept up."""

    def __init__(self, settings: options.ServerOptions) -> None:
        super().__init__(settings)
        self.failed = False
        self.wakeup = Wakeup()

    def get_process_map(self) -> dict[int, object]:
        """What the loop waits for, by descriptor."""
        return {**super().get_process_map(), self.wakeup.descriptor: self.wakeup}

    def runforever(self) -> None:
        """Run until a signal comes; supervisord itself would wait a second before its first look."""
        events.subscribe(events.ProcessStateFatalEvent, self.give_up)
        for ended in (
            events.ProcessStateStoppedEvent,
            # By itself, after a while or right after its start: what it left would soon be there twice.
            events.ProcessStateExitedEvent,
            events.ProcessStateBackoffEvent,
        ):
            events.subscribe(ended, self.end_group)
        for group in sorted(self.process_groups.values()):
            group.transition()
        super().runforever()

    def give_up(self, event: events.ProcessStateFatalEvent) -> None:
        """Say what is not started any more; without its VNC server, a desktop is none."""
        name = event.process.config.name
        say(f"the process {name} ends again and again: it is not started any more")
        if name == ESSENTIAL:
            say("a desktop without its VNC server is none: the container ends")
            self.failed = True
            os.kill(os.getpid(), signal.SIGTERM)

    def end_group(self, event: events.ProcessStateEvent) -> None:
        """A program has ended when all that it started has: only then comes what follows.

        That is the stop of the one that it needed, or its own next start: the new process does not run yet,
        and is going to have another group.
        """
        # The process has just ended, and its group keeps the number; 0 when it was between two attempts.
        pid = event.process.pid
        running = groups.end(pid, PATIENCE_SECONDS) if pid else []
        if running:
            say(f"started by {event.process.config.name}, and does not end: {', '.join(running)}")


def run() -> int:
    """Run the desktop's processes until a signal ends them; return the exit status."""
    settings = options.ServerOptions()
    settings.realize(["--configuration", CONFIGURATION])
    settings.first, settings.test = True, False
    server = DesktopSupervisor(settings)
    signal.signal(STOP_SIGNAL, _stop)
    # How its loop ends when every process has.
    with contextlib.suppress(supervisord.asyncore.ExitNow):
        server.main()
    return 1 if server.failed else 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
