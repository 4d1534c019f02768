"""Programs that run apart: own users, processes, mounts and, unless allowed, no network.

`unshare` makes the namespaces; the service maps the users, which no program inside could; then a shell,
the first process of the process namespace, runs what it is given. The kernel ends every process of the
namespace with that shell, and the shell with `unshare` (--kill-child), so that one kill ends all of them,
whatever they have forked. `unshare` ends with the service (setpriv --pdeathsig), even with one that is
killed: the kernel sends the signal.

There are two user namespaces, one in the other. The kernel counts the processes of a user in each namespace
apart (since Linux 5.14), and holds all users of a namespace together to the bound that whoever made it had.
The outer one has nothing but a shell of this sandbox, which has the bound and makes the inner one: so all
that runs there is counted together, whichever of its users it is, and nothing else with it.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import BuilderUnavailableError
from .identity import Identity
from .output import Output

_READY = b"ready\n"
_START = 60.0  # seconds until a shell in new namespaces is there, on a machine that has much else to do
_PROGRAMS = ("unshare", "setpriv", "mount", "tee", "bash")
# In the outer namespace: $1 processes and $2 KiB of one file, then the command that makes the inner one. This
# has the same users; each file of maps takes all lines in one write, which `tee` does and the shell does not.
_OUTER = r"""
ulimit -u "$1" && ulimit -f "$2" && ulimit -c 0 || exit; shift 2
echo ready; read -r _ || exit 125
exec 3>&1
coproc inner { exec "$@"; }
read -r said <&"${inner[0]}" && [ "$said" = ready ] || exit 125
tee "/proc/$inner_PID/uid_map" "/proc/$inner_PID/gid_map" <<< $'0 0 1\n1 1 %s' > /dev/null || exit 125
echo go >&"${inner[1]}"
wait "$inner_PID"
"""
# In the inner one. $1 of a script is the first of its own arguments.
_PRELUDE = (
    "echo ready; read -r _ || exit 125; exec >&3 3>&- < /dev/null; mount -t proc proc /proc || exit 125; "
)
_KIB = 1024
_COUNTED_APART = (5, 14)  # the kernel's release


@dataclass(frozen=True)
class Bounds:
    """What the kernel holds a sandbox to.

    Attributes:
        processes: processes and threads at a time.
        file: bytes of one file.
    """

    processes: int
    file: int


class Sandbox:
    """Starts programs apart.

    Args:
        identity: who they are.
        bounds: what the kernel holds them to.
        environment: their environment, which is not the service's.
    """

    def __init__(self, identity: Identity, bounds: Bounds, environment: Mapping[str, str]) -> None:
        missing = [program for program in _PROGRAMS if not shutil.which(program)]
        if missing:
            raise BuilderUnavailableError(f"commands cannot be run here: {', '.join(missing)} is missing")
        self._identity = identity
        self._bounds = bounds
        self._environment = dict(environment)

    @property
    def is_root(self) -> bool:
        """Whether the service is root, so that it can do itself what others need a sandbox for."""
        return self._identity.drops

    def own(self, *paths: Path) -> None:
        """Give files or folders to the user of the sandbox, when the service is another one."""
        if self._identity.drops:
            for path in paths:
                os.chown(path, self._identity.uid, self._identity.gid, follow_symlinks=False)

    def let_through(self, *folders: Path) -> None:
        """Let the user of the sandbox pass folders of the service, when that is another user."""
        if self._identity.drops:
            for folder in folders:
                folder.chmod(0o711)

    async def run(
        self,
        script: str,
        arguments: Sequence[str | Path],
        folder: Path,
        on_line: Callable[[str], None],
        *,
        network: bool = False,
        log_limit: int,
        watch: "Callable[[int], asyncio.Task[None]] | None" = None,
    ) -> int:
        """Run a shell script to its end; cancelled, all that it has started ends at once.

        Args:
            script: what the shell runs.
            arguments: its `$1`, `$2`, …
            folder: where it runs.
            on_line: gets each line of its output.
            network: whether it has the network of the service.
            log_limit: bytes of output that are given on.
            watch: started with the id of the process; what it raises ends the run.

        Returns:
            The shell's exit status; 128 and the signal's number, or less than 0, for a signal.

        Raises:
            BuilderUnavailableError: the namespaces cannot be made here.
        """
        process = await self._start(script, arguments, folder, network=network)
        try:
            output = asyncio.create_task(Output(on_line, log_limit).drain(process.stdout))
            watching = watch(process.pid) if watch else None
            ended = asyncio.create_task(process.wait())
            try:
                await asyncio.wait(
                    [ended, *([watching] if watching else [])], return_when=asyncio.FIRST_COMPLETED
                )
                if watching and watching.done():
                    watching.result()
                return await ended
            finally:
                _kill(process)
                for task in filter(None, [watching, ended, output]):
                    if task is not output:
                        task.cancel()
                await asyncio.wait(list(filter(None, [watching, ended, output])))
        finally:
            _kill(process)
            await process.wait()

    async def _start(
        self, script: str, arguments: Sequence[str | Path], folder: Path, *, network: bool
    ) -> asyncio.subprocess.Process:
        namespaces = ["--user", "--mount", "--pid", "--ipc", "--uts", *([] if network else ["--net"])]
        own = self._identity
        bounds = [str(self._bounds.processes), str(self._bounds.file // _KIB)]
        ends_with_parent = ["setpriv", "--pdeathsig", "KILL", "--"]
        command = [
            *(*ends_with_parent, "unshare", "--user", "--"),
            *("bash", "-c", _OUTER % own.users[1], "bash", *bounds),
            *(*ends_with_parent, "unshare", *namespaces, "--fork", "--kill-child=KILL", "--"),
            *("bash", "-c", _PRELUDE + script, "bash", *map(str, arguments)),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            cwd=folder,
            start_new_session=True,
            user=own.uid if own.drops else None,
            group=own.gid if own.drops else None,
            extra_groups=[] if own.drops else None,
        )
        try:
            await self._let_go(process)
        except BaseException:
            _kill(process)
            await process.wait()
            raise
        return process

    async def _let_go(self, process: asyncio.subprocess.Process) -> None:
        """Map the users of a shell that waits for it, and have it begin."""
        assert process.stdin is not None  # noqa: S101 - it was started with pipes
        assert process.stdout is not None  # noqa: S101
        try:
            said = await asyncio.wait_for(process.stdout.readline(), _START)
            if said != _READY:
                reason = said.decode(errors="replace").strip() or "no user namespace"
                raise BuilderUnavailableError(f"commands cannot be run here: {reason}")
            await self._map(process.pid)
            process.stdin.write(b"go\n")
            process.stdin.close()
        except (TimeoutError, OSError) as error:
            raise BuilderUnavailableError(
                f"commands cannot be run here: no user namespace ({error})"
            ) from None

    async def _map(self, pid: int) -> None:
        own = self._identity
        if own.drops:
            # Root may give any users; /proc takes all lines in one write.
            for file, lines in (("uid_map", own.user_map), ("gid_map", own.group_map)):
                _write(Path(f"/proc/{pid}/{file}"), lines)
            return
        for program, lines in (("newuidmap", own.user_map), ("newgidmap", own.group_map)):
            words = [str(number) for line in lines for number in line]
            mapping = await asyncio.create_subprocess_exec(
                *(program, str(pid), *words),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
            )
            said, _ = await mapping.communicate()
            if mapping.returncode:
                raise BuilderUnavailableError(
                    f"commands cannot be run here: {program}: {said.decode(errors='replace').strip()[:300]}"
                )


def counted_apart(release: str) -> bool:
    """Whether the kernel of this release (uname(2)) counts the processes of each sandbox by themselves."""
    numbers = re.findall(r"\d+", release)[:2]
    return tuple(map(int, numbers)) >= _COUNTED_APART


def _write(path: Path, lines: Sequence[tuple[int, int, int]]) -> None:
    text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in lines)
    with path.open("w", encoding="ascii") as file:
        file.write(text)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            os.kill(process.pid, 9)
