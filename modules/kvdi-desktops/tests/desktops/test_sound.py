"""Sound between the desktop's programs and kVDI's sidecar, both ways."""

import threading
import time
from collections.abc import Callable

import pytest
import tones
from applications import play_on_desktop, with_sound
from desktops import sidecar
from desktops.pod import Pod

pytestmark = pytest.mark.engine

RATE = 48000  # Hz
TOLERANCE = 1.0  # dB
SECONDS = 3.0
CHUNK = 0.02  # seconds of sound: a microphone sends as it hears


def test_a_tone_on_the_desktop_arrives_at_the_sidecar(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")
    played = tones.tone(RATE, SECONDS)

    with sidecar.attached(desktop) as session:
        arrived = play_on_desktop(desktop, session, played, RATE)

    assert abs(tones.level(arrived) - tones.level(played)) <= TOLERANCE
    assert tones.pitch(arrived, RATE) == pytest.approx(tones.FREQUENCY, abs=5)


def test_the_microphone_arrives_at_a_program_on_the_desktop(
    shared: Callable[[str], Pod], family: str
) -> None:
    desktop = shared(f"debian-{family}-base")
    rate = sidecar.MICROPHONE_RATE
    spoken = tones.tone(rate, SECONDS)
    # The default source: a program that records asks for no name.
    options = ("--record", "--format=s16le", f"--rate={rate}", "--channels=1", "--raw", "--latency-msec=50")

    with sidecar.attached(desktop) as session, with_sound(desktop, "pacat", *options) as recorder:
        speaking = threading.Event()
        speaker = threading.Thread(target=_speak, args=(session, spoken, speaking))
        speaker.start()
        try:
            arrived = tones.heard(recorder, rate)
        finally:
            speaking.set()
            speaker.join()

    assert abs(tones.level(arrived) - tones.level(spoken)) <= TOLERANCE
    assert tones.pitch(arrived, rate) == pytest.approx(tones.FREQUENCY, abs=5)


def test_sound_goes_on_after_the_browser_has_come_back(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")

    for _ in range(2):
        with sidecar.attached(desktop):
            pass


def _speak(session: sidecar.Sidecar, spoken: tones.Samples, enough: threading.Event) -> None:
    """Write the tone at the pace of a microphone, until it has been heard."""
    size = int(sidecar.MICROPHONE_RATE * CHUNK)
    with session.microphone.open("wb", buffering=0) as pipe:
        begun = time.monotonic()
        for number in range(1500):  # half a minute
            if enough.wait(max(0.0, begun + number * CHUNK - time.monotonic())):
                return
            start = number * size % (len(spoken) // size * size)
            pipe.write(spoken[start : start + size].tobytes())
