"""Tones as samples, and how loud a recording of one is."""

import select
import subprocess
import time

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
FREQUENCY = 440.0  # Hz
AMPLITUDE = 0.5  # of full scale
LOUD = 0.05  # of full scale: more than noise, less than the tone
WINDOW_SECONDS = 0.5


def tone(rate: int, seconds: float) -> Samples:
    """A sine."""
    times = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * FREQUENCY * times) * AMPLITUDE * 32767).astype(np.int16)


def level(samples: Samples) -> float:
    """Root mean square in decibels of full scale."""
    return float(20 * np.log10(np.sqrt(np.mean((samples / 32767.0) ** 2)) + 1e-9))


def pitch(samples: Samples, rate: int) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def heard(recording: "subprocess.Popen[bytes]", rate: int, seconds: float = 30.0) -> Samples:
    """The tone as it arrives: a window in its middle, once there is enough of it.

    Raises:
        AssertionError: no tone arrived in time.
    """
    output = recording.stdout
    assert output is not None
    deadline = time.monotonic() + seconds
    content = b""
    window = int(rate * WINDOW_SECONDS)
    while (left := deadline - time.monotonic()) > 0 and select.select([output], [], [], left)[0]:
        part = output.read1(1 << 14)  # type: ignore[attr-defined]
        if not part:
            break
        content += part
        samples = np.frombuffer(content[: len(content) // 2 * 2], np.int16)
        loud = np.flatnonzero(np.abs(samples) > LOUD * 32767)
        if len(loud) and len(samples) - loud[0] > 3 * window:
            return samples[loud[0] + window : loud[0] + 2 * window]
    raise AssertionError(f"no tone of {3 * WINDOW_SECONDS} s arrived in {seconds:g} s: {len(content)} bytes")
