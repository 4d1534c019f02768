"""The peers: the newest skopeo and crane that Debian has, unpacked beside the system and never installed.

They come from Debian's unstable suite, with every library that they need from there too, because an older
system's would not do. apt resolves, downloads and verifies them in a folder of its own: neither the
system's package lists nor its packages are touched, and root is not needed.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud import commands
from localcloud.errors import LocalCloudError
from localcloud.progress import Progress

PROGRAMS = ("skopeo", "crane")
SUITE = "sid"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INDEX_FIELDS = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)"


@dataclass(frozen=True)
class Peers:
    """How the peers are started.

    Attributes:
        skopeo: first words of its command.
        crane: first words of its command.
        versions: program -> version of its package, as the package index had it.
    """

    skopeo: tuple[str, ...]
    crane: tuple[str, ...]
    versions: Mapping[str, str]


def ensure_peers(cache: Path, progress: Progress) -> Peers:
    """The peers from the cache, fetched when they are not there.

    Raises:
        LocalCloudError: this is no Debian, or its mirror cannot be reached.
    """
    architecture = _run("dpkg", "--print-architecture").strip()
    folder = cache / f"benchmark-peers-{architecture}"
    if not (folder / "versions.json").exists():
        with progress.step(f"fetching {' and '.join(PROGRAMS)} from Debian {SUITE}"):
            _fetch(folder)
    return _peers(folder)


def _peers(folder: Path) -> Peers:
    root = folder / "root"
    # The loader of the same suite as the libraries: it finds them without a change to the system.
    loader, library = _loader(root)
    versions = json.loads((folder / "versions.json").read_text("utf-8"))
    return Peers(
        skopeo=(str(loader), "--library-path", str(library), str(root / "usr/bin/skopeo")),
        crane=(str(loader), "--library-path", str(library), str(root / "usr/bin/crane")),
        versions=versions,
    )


def _loader(root: Path) -> tuple[Path, Path]:
    found = sorted(root.glob("usr/lib/*/ld-linux*.so.*"))
    if not found:
        raise LocalCloudError(
            f"there is no loader of programs below {root}; remove that folder and run again"
        )
    return found[0], found[0].parent


def _fetch(folder: Path) -> None:
    """Fetch into a new folder and rename it, so that a broken fetch is begun anew."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        state, fetched = Path(temporary) / "apt", Path(temporary) / "peers"
        options = _apt_options(state)
        fetched.mkdir()
        _run("apt-get", *options, "--quiet", "update")
        install = ("install", "--download-only", "--yes", "--no-install-recommends", *PROGRAMS)
        _run("apt-get", *options, *install)
        for package in sorted((state / "archives").glob("*.deb")):
            _run("dpkg-deb", "--extract", str(package), str(fetched / "root"))
        versions = {program: _candidate(options, program) for program in PROGRAMS}
        (fetched / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        fetched.rename(folder)


def _apt_options(state: Path) -> list[str]:
    """Options for an apt that knows the unstable suite only, and no installed package."""
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True)
    sources = state / "sources.list"
    status = state / "status"  # apt puts its lock beside it
    status.touch()
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": str(state),
        "Dir::State::status": str(status),
        "Dir::Cache": str(state),
        "APT::Sandbox::User": "root",  # apt's own user could not write below a folder of ours
        "Acquire::Languages": "none",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _mirror() -> str:
    """The mirror of Debian's own archive that this machine uses.

    Raises:
        LocalCloudError: it uses none.
    """
    if KEYRING.exists():
        for line in _run("apt-get", "indextargets", "--format", _INDEX_FIELDS).splitlines():
            origin, label, component, address = line.split(" ", 3)
            if (origin, label, component) == ("Debian", "Debian", "main"):
                return address
    raise LocalCloudError(
        f"{' and '.join(PROGRAMS)} come from Debian, and apt on this machine has no package list of "
        "Debian's archive (with its keys in the package debian-archive-keyring); run this benchmark on "
        "Debian, after `apt-get update`"
    )


def _candidate(options: list[str], program: str) -> str:
    """The version that the package index has."""
    for line in _run("apt-cache", *options, "show", "--no-all-versions", program).splitlines():
        if line.startswith("Version: "):
            return line.removeprefix("Version: ")
    raise LocalCloudError(f"Debian {SUITE} has no version of {program}")


def _run(*command: str) -> str:
    return commands.run(command)
