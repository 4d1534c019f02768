"""From a buildspec to the bash script that runs it.

CodeBuild's version 0.2 runs the commands of all phases in one shell, so variables and the working folder
that one command sets are there in the next. Each command is a file that the one bash sources. Begin and
end of each are reported on descriptor 3, which the commands themselves do not get.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from .buildspec import Buildspec, Phase

MARK = "@@"


def write_script(buildspec: Buildspec, folder: Path) -> Path:
    """Write the script and its command files into `folder`; return the script."""
    commands = folder / "commands"
    commands.mkdir(parents=True, exist_ok=True)
    lines = ["# Made by the build agent from SeedFarmer's buildspec.", "set +e"]
    for phase in buildspec.phases:
        lines += _phase_lines(phase, commands)
    lines.append("exit 0")
    script = folder / "build.sh"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def _phase_lines(phase: Phase, folder: Path) -> Iterator[str]:
    yield "__failed=0"
    for index, command in enumerate(phase.commands):
        yield 'if [ "$__failed" = 0 ]; then'
        yield from _command_lines(phase.name, index, command, folder)
        yield "fi"
    for index, command in enumerate(phase.finally_commands, start=len(phase.commands)):
        yield from _command_lines(phase.name, index, command, folder)
    yield 'if [ "$__failed" != 0 ]; then exit "$__failed"; fi'


def _command_lines(phase: str, index: int, command: str, folder: Path) -> Iterator[str]:
    path = folder / f"{phase}-{index}.sh"
    path.write_text(command + "\n", encoding="utf-8")
    yield f'echo "begin {phase} {index} $EPOCHREALTIME" >&3'
    yield f"echo {shlex.quote(f'{MARK} {phase}: {command.splitlines()[0] if command else command}')}"
    yield f". {shlex.quote(str(path))} 3>&-"
    yield "__status=$?"
    yield f'echo "end {phase} {index} $EPOCHREALTIME $__status" >&3'
    yield 'if [ "$__status" != 0 ] && [ "$__failed" = 0 ]; then __failed=$__status; fi'
