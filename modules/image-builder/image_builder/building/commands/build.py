"""The way of a request that runs commands."""

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...locks import Uses
from ..assembled.assemble import assemble
from ..assembled.build import root_of, runtime_of
from ..assembled.layer import WrittenLayer
from ..assembled.spool import Spool
from ..bases import Base
from ..blobs import BlobCache
from ..errors import BuilderUnavailableError, CommandError, LimitExceededError
from ..preparation import Prepared
from ..registries import Registries
from ..settings import BuildSettings
from ..stages import Plan
from ..stop import Stop
from ..times import image_time
from ..ways import MadeImage, inherited, own_blobs
from .changes import READ_CHANGES, new_layers, write_changes
from .context import (
    FETCHED,
    check_archives,
    context_options,
    dockerfile,
    environment,
    place_fetched,
    write_files,
    write_settings,
)
from .identity import identity
from .sandbox import Bounds, Sandbox
from .stores import BaseStores, remove
from .watch import watch_memory

# $1 KiB that may be written; then buildah's own. The shell that looks is the first process of its namespace,
# which no command can end; that commands have ended its looks counts as having written too much. It looks at
# what commands can write, caches too, and not at the copies that buildah makes of it at the end, in `tmp`.
_BUILD = """
: > begun
limit=$1; shift
mkdir -m 700 graph tmp/buildah-cache
buildah --root "$PWD/graph" --runroot "$PWD/run" --storage-driver overlay "$@" &
build=$!
blind=0
while sleep 1 & wait -n "$build" $! 2>/dev/null; kill -0 "$build" 2>/dev/null; do
  used=$(du -sxkc graph tmp/buildah-cache* 2>/dev/null); used=${used##*$'\n'}; used=${used%%[!0-9]*}
  if [ -n "$used" ]; then blind=0; else blind=$((blind + 1)); fi
  if [ "${used:-0}" -gt "$limit" ] || [ "$blind" -ge 5 ]; then : > over-disk; kill -KILL -1; fi
done
wait "$build"
"""
# What commands of a build may do to the files and users of their own namespace, as package managers do;
# no network devices, no device files, no ports below 1024, no other root.
# SYS_CHROOT above all: buildah puts commands into a plain chroot, which that one leads out of.
_DROPPED = (
    *("CAP_MKNOD", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE", "CAP_SETPCAP"),
    "CAP_SYS_CHROOT",
)
_STATUS = re.compile(r"exit status (\d+)")
_ERROR = re.compile(r"(?i)^error[: ]")
_SIGNALS = 128  # and the number of the signal: what a shell says of a process that was ended by one
_SAID = 2000  # bytes of what a program says about its failure


@dataclass(frozen=True)
class CommandsWay:
    """An image whose commands buildah runs.

    Attributes:
        plan: what to make.
        prepared: what it is made from.
        blobs: layers of bases.
        stores: bases as buildah wants them.
        settings: what the administrator has set.
        places: the registries.
        folder: the build's own folder.
        uses: what the build uses of the cache.
    """

    plan: Plan
    prepared: Prepared
    blobs: BlobCache
    stores: BaseStores
    settings: BuildSettings
    places: Registries
    folder: Path
    uses: Uses
    name: str = field(default="commands", init=False)

    async def make(self, log: Callable[[str], None]) -> MadeImage:
        """Make the image; see Way.

        Raises:
            BuildError: a command failed, a limit was reached, or nothing can be run here.
        """
        if not shutil.which("buildah"):
            raise BuilderUnavailableError("commands cannot be run here: the program buildah is missing")
        limits, job = self.settings.limits, self.folder / "job"
        own = identity()
        sandbox = Sandbox(own, Bounds(limits.processes, limits.disk), environment(job))
        stop = Stop()
        try:
            await stop.run(self._write, job, sandbox, stop)
            stores = await asyncio.gather(*(self._store(base, sandbox, job) for base in self._images()))
            base = self.prepared.bases[root_of(self.plan, self.plan.stages[self.plan.needed[-1]])]
            await self._run(sandbox, job, stores, image_time(base), log)
            layers = await self._changes(sandbox, job, image_time(base), stop)
        except BaseException:
            await asyncio.shield(remove([job], sandbox, self.folder))
            raise
        made = await asyncio.to_thread(self._image, base, layers)
        await remove([job], sandbox, self.folder)
        log(f"built {made.manifest.digest}")
        return made

    def _write(self, job: Path, sandbox: Sandbox, stop: Stop) -> None:
        """The build's folder, with all that buildah reads."""
        job.mkdir(mode=0o755)
        sandbox.let_through(self.settings.work, self.folder)
        limits = self.settings.limits
        with Spool(self.folder / "checked", limits.unpacked, limits.entries, stop) as spool:
            for name, node in self.prepared.files.items():
                spool.count(node.size, name)
            check_archives(self.plan, self.prepared.files, spool)
        written = write_files(self.prepared.files, job / "context")
        written += place_fetched(self.plan, self.prepared.fetched, job / FETCHED)
        (job / "Dockerfile").write_text(dockerfile(self.plan, self.prepared), encoding="utf-8")
        sandbox.own(*write_settings(job), *written, job / "Dockerfile")

    def _images(self) -> list[Base]:
        """Every image that the build reads, each once."""
        found = {
            str(base.reference): base
            for base in [*self.prepared.bases.values(), *self.prepared.images.values()]
        }
        return [base for base in found.values() if base.reference]

    async def _store(self, base: Base, sandbox: Sandbox, job: Path) -> Path:
        blobs = await self.blobs.layers(self.places.bases, base, self.uses)
        return await self.stores.of(base, blobs, sandbox, job, self.uses)

    async def _run(
        self, sandbox: Sandbox, job: Path, stores: list[Path], time: int, log: Callable[[str], None]
    ) -> None:
        limits = self.settings.limits
        said: list[str] = []

        def heard(line: str) -> None:
            if _ERROR.match(line) or _STATUS.search(line):
                said.append(line)
                del said[:-5]
            log(line)

        arguments: list[str | Path] = [str(limits.disk // 1024)]
        arguments += [part for store in stores for part in ("--storage-opt", f"overlay.imagestore={store}")]
        arguments += self._buildah(job, time)
        status = await sandbox.run(
            _BUILD,
            arguments,
            job,
            heard,
            network=self.settings.network == "service",
            log_limit=limits.log,
            watch=lambda pid: asyncio.create_task(watch_memory(pid, limits.memory)),
        )
        if (job / "over-disk").exists():
            raise LimitExceededError(f"the build has written more than {limits.disk} bytes, the limit")
        if not (job / "begun").exists():
            raise BuilderUnavailableError("commands cannot be run here: a namespace cannot be set up")
        if status:
            raise _failure(said, status)

    def _buildah(self, job: Path, time: int) -> list[str | Path]:
        return [
            *("bud", "--isolation", "chroot", "--layers=false", "--pull-never", "--force-rm"),
            *("--format", "docker", "--timestamp", str(time), "--signature-policy", job / "policy.json"),
            *("--jobs", str(self.settings.workers), "--identity-label=false", "--no-hosts"),
            *(f"--cap-drop={capability}" for capability in _DROPPED),
            *("--iidfile", job / "image-id", "--file", job / "Dockerfile"),
            *context_options(job),
        ]

    async def _changes(self, sandbox: Sandbox, job: Path, time: int, stop: Stop) -> list[WrittenLayer]:
        """What the commands have changed, as layers, from the lowest."""
        names = new_layers(job / "graph", (job / "image-id").read_text("ascii"))
        said: list[str] = []
        status = await sandbox.run(READ_CHANGES, names, job, said.append, log_limit=_SAID)
        if status:
            raise BuilderUnavailableError(f"what the commands have changed cannot be read: {' '.join(said)}")
        written = [
            await stop.run(write_changes, job / f"{name}.tar", self.folder / f"{name}.tar.gz", time, stop)
            for name in names
        ]
        return [layer for layer in written if layer is not None]

    def _image(self, base: Base, new: list[WrittenLayer]) -> MadeImage:
        last = self.plan.stages[self.plan.needed[-1]]
        runtime = runtime_of(self.plan, self.prepared.bases)
        image = assemble(base, runtime, [each for _, each in last.layers], new, image_time(base))
        return MadeImage(image.manifest, [*inherited(base, self.places), *own_blobs(image)])


def _failure(said: list[str], status: int) -> CommandError:
    for line in reversed(said):
        found = _STATUS.search(line)
        if found:
            return CommandError(f"a command ended with the exit status {found[1]}; the log has its output")
    if status < 0 or status > _SIGNALS:
        return CommandError(
            f"the build was ended by the signal {-status if status < 0 else status - _SIGNALS}"
        )
    return CommandError(" ".join(said)[-500:] or f"buildah ended with the exit status {status}")
