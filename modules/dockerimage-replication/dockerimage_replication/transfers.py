"""The figures of transfers under way: how much, how fast, how long still."""

from collections import deque
from dataclasses import dataclass, field

from .oci.meter import Meter

_SUMMARY = 10.0  # seconds at least between two lines in a log
_WINDOW = 10.0  # seconds that the rate is measured over
_BAR = 20  # characters


@dataclass
class Transfers:
    """What is under way, and how fast it was lately.

    Attributes:
        meter: bytes to transfer and transferred.
        total: images and charts to transfer; 0 when only bytes count.
        began: time when it began; all times are seconds from one origin.
        done: images and charts that have been transferred.
    """

    meter: Meter
    total: int
    began: float
    done: int = 0
    _samples: deque[tuple[float, int]] = field(default_factory=deque)  # time, bytes transferred by then
    _line: tuple[float, int] = (0.0, 0)  # time of the last line in the log, bytes transferred by then

    def __post_init__(self) -> None:
        self._samples.append((self.began, self.meter.transferred))
        self._line = self._samples[0]

    def sample(self, now: float) -> None:
        """Look at the meter; the rate is that of the last 10 seconds."""
        self._samples.append((now, self.meter.transferred))
        while self._samples[1][0] <= now - _WINDOW:
            self._samples.popleft()

    def is_worth_a_line(self, now: float) -> bool:
        """Whether bytes have arrived since the last line, and that is some time ago."""
        at, transferred = self._line
        if now - at < _SUMMARY or self.meter.transferred == transferred:
            return False
        self._line = (now, self.meter.transferred)
        return True

    def text(self) -> str:
        """How far it is, how fast, and how long the rest will take at that rate."""
        transferred, expected = self.meter.transferred, max(self.meter.expected, self.meter.transferred)
        parts = self._counted()
        if expected:
            parts.append(f"{readable_size(transferred)} of {readable_size(expected)}")
        rate = self._rate()
        if rate:
            parts.append(f"{readable_size(rate)}/s")
        if rate and expected > transferred:
            parts.append(f"{readable_time((expected - transferred) / rate)} left")
        return ", ".join(parts)

    def bar(self) -> str:
        """The share of the bytes; that of the images and charts while no bytes are known."""
        expected = max(self.meter.expected, self.meter.transferred)
        share = self.meter.transferred / expected if expected else self.done / max(self.total, 1)
        return f"[{'#' * int(share * _BAR):-<{_BAR}}]"

    def summary(self, now: float) -> str:
        """What has been transferred in the end."""
        transferred, seconds = self.meter.transferred, now - self.began
        text = ", ".join([*self._counted(), readable_size(transferred)])
        rate = f" ({readable_size(transferred / seconds)}/s)" if transferred and seconds else ""
        return f"{text} in {readable_time(seconds)}{rate}"

    def _counted(self) -> list[str]:
        return [f"{self.done} of {self.total} images and charts"] if self.total else []

    def _rate(self) -> float:
        """Bytes per second within the window; 0 while there is none."""
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first) if last > first else 0.0


def readable_size(count: float) -> str:
    """Bytes for people: `12.3 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def readable_time(seconds: float) -> str:
    """Seconds for people: `26 s`, `3 min 05 s`, `1 h 02 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
