"""One run of helm: no network, no secrets, and an end in any case."""

import asyncio
from pathlib import Path

TIME_LIMIT = 120.0  # seconds; the largest public charts take about two
MAX_OUTPUT = 64 * 1024 * 1024  # bytes; the largest public charts render to about 6 MB
_COMPLAINT = 4000  # characters of helm's own message that are quoted
_CHUNK = 256 * 1024
_NOWHERE = "http://127.0.0.1:9"  # the discard port, where nothing listens


class HelmError(Exception):
    """Helm failed; the text is its message, or says why there is none."""


async def run_helm(program: Path, arguments: list[str], home: Path) -> bytes:
    """Run helm in `home` and return what it prints.

    Args:
        program: helm.
        arguments: its command line.
        home: an empty folder of its own; helm finds no configuration, plugins and clusters of anyone.

    Raises:
        HelmError: it cannot be run, ends with another status than 0, takes too long or prints too much.
    """
    complaints = home / "stderr"
    with complaints.open("wb") as stderr:
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=_environment(home),
                cwd=home,
            )
        except OSError as error:
            raise HelmError(f"{program} cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(TIME_LIMIT):
            output = await _output(process.stdout)
            status = await process.wait()
    except TimeoutError:
        raise HelmError(f"helm did not end within {TIME_LIMIT:.0f} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0:
        raise HelmError(_complaint(complaints) or f"helm ended with status {status}")
    return output


async def _output(stream: asyncio.StreamReader | None) -> bytes:
    output = bytearray()
    while stream and (chunk := await stream.read(_CHUNK)):
        output += chunk
        if len(output) > MAX_OUTPUT:
            raise HelmError(f"helm printed more than {MAX_OUTPUT} bytes")
    return bytes(output)


def _environment(home: Path) -> dict[str, str]:
    """Everything that helm gets to see: templates and plugins could read the environment."""
    folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    # A chart's schema may name an address, which helm would fetch.
    nowhere = {f"{scheme}_PROXY": _NOWHERE for scheme in ("HTTP", "HTTPS")}
    return {"HOME": str(home), "TMPDIR": str(home), "KUBECONFIG": str(home / "none"), **folders, **nowhere}


def _complaint(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as lines:
        text = lines.read(_COMPLAINT)
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split()).removeprefix("Error: ")
