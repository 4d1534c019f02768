"""Programs as an ordinary user without any capability, on a root that cannot be written."""

import os
import shutil
import struct
import sys
from pathlib import Path
from shlex import quote

from .processes import MODULE

USER = 65534
MAPPERS = {"newuidmap": 7, "newgidmap": 6}  # CAP_SETUID, CAP_SETGID (capability.h)
_EFFECTIVE_REVISION_2 = 0x02000001  # vfs_cap_data, capability.h
SUBORDINATE_USERS = f"{USER}:200000:65536\n"


def as_nobody(folder: Path, *, runs_commands: bool = False) -> list[str]:
    """What stands in front of a command line; for root, who can take so much away.

    Args:
        folder: the only place that can be written; it has to belong to the user.
        runs_commands: newuidmap and newgidmap, which have CAP_SETUID and CAP_SETGID of their own, may use
            them; without, nothing that the user starts can have any.
    """
    steps = [
        *(step for hidden, paths in _hidden_paths().items() for step in _shown(folder, hidden, paths)),
        f"mount --bind {quote(str(folder))} {quote(str(folder))}",
    ]
    for name in ("subuid", "subgid"):
        (folder / name).write_text(SUBORDINATE_USERS)
        steps.append(f"mount --bind {quote(str(folder / name))} /etc/{name}")
    if runs_commands:
        for name, capability in MAPPERS.items():
            program = shutil.which(name)
            assert program, f"needs {name} (Debian's package uidmap)"
            own = _with_capability(Path(program), folder / name, capability)
            steps.append(f"mount --bind {quote(str(own))} {quote(program)}")
    steps.append("mount -o remount,ro,bind /")
    steps.append('exec "$@"')
    bounds = (
        ["--bounding-set=-all,+setuid,+setgid"]
        if runs_commands
        else ["--bounding-set=-all", "--no-new-privs"]
    )
    return [
        *("unshare", "--mount", "--propagation", "private", "--"),
        *("/bin/sh", "-euc", "\n".join(steps), "sh"),
        *(
            "setpriv",
            f"--reuid={USER}",
            f"--regid={USER}",
            "--clear-groups",
            "--inh-caps=-all",
            *bounds,
            "--",
        ),
    ]


def _with_capability(program: Path, copy: Path, capability: int) -> Path:
    """A program that has one capability, where Debian's has all of root's."""
    shutil.copyfile(program, copy)
    copy.chmod(0o755)
    os.setxattr(
        copy, "security.capability", struct.pack("<5I", _EFFECTIVE_REVISION_2, 1 << capability, 0, 0, 0)
    )
    return copy


def _hidden_paths() -> dict[Path, list[Path]]:
    """What the program is made of, where a folder above it is not open to every user."""
    found: dict[Path, list[Path]] = {}
    paths = {Path(sys.prefix), Path(sys.base_prefix), MODULE}
    for path in sorted(paths | {path.resolve() for path in paths}):
        for above in reversed(path.parents):
            if not above.stat().st_mode & 0o001:
                found.setdefault(above, []).append(path)
                break
    return found


def _shown(folder: Path, hidden: Path, paths: list[Path]) -> list[str]:
    """Have these paths, and nothing else, in the place of a hidden folder."""
    stand_in = folder / "shown" / hidden.relative_to("/")
    steps = [f"mkdir -p {quote(str(stand_in))}"]
    for path in paths:
        place = quote(str(stand_in / path.relative_to(hidden)))
        steps += [f"mkdir -p {place}", f"mount --bind {quote(str(path))} {place}"]
    return [*steps, f"mount --rbind {quote(str(stand_in))} {quote(str(hidden))}"]
