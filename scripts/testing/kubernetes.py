"""Real Kubernetes programs for tests, built from Debian's source package and kept in the cache.

Debian 12 has the source of Kubernetes 1.20.2, complete with what it depends on, but no package of what runs a
cluster. Building takes some minutes, once for each machine.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from localcloud import commands, packages
from localcloud.internet.folders import filling
from localcloud.progress import Progress

VERSION = "1.20.2"
# Source packages: the second replaces the reflect2 1.0.1 in the first one's `vendor`. With Go 1.18 and later,
# that one writes to where a stray register points while it goes through a map (modern-go/reflect2, 1.0.2): an
# API server that lists objects as JSON dies of it, sooner or later.
SOURCES = ("kubernetes", "golang-github-modern-go-reflect2")
VENDORED = Path("vendor/github.com/modern-go/reflect2")
SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# An API server alone keeps objects; with the others it is a cluster of one node that runs pods.
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
BUILD_PROGRAMS = ("go", "rsync", "jq", "make", "dpkg-source")
# Others use the machine while this builds.
LOW_PRIORITY = ("nice", "-n", "10")


def ensure_kubernetes(cache: Path, progress: Progress) -> Path:
    """The folder with the programs, built when the cache does not have them.

    A second run that asks meanwhile waits for the first.

    Raises:
        LocalCloudError: it cannot be built here; the text says why.
    """
    folder = _folder(cache)
    with filling(folder) as unfinished:
        if unfinished is not None:
            packages.ensure_programs(BUILD_PROGRAMS, progress)
            with progress.step(
                f"building {', '.join(PROGRAMS)} {VERSION} from Debian's source (some minutes)"
            ):
                _build(_source(unfinished / "source"), unfinished)
            shutil.rmtree(unfinished / "source")
    return folder


def missing(cache: Path) -> Sequence[str]:
    """The programs that building takes, when the cache does not have what they build."""
    return () if _folder(cache).is_dir() else BUILD_PROGRAMS


def _folder(cache: Path) -> Path:
    return cache / "kubernetes" / f"{VERSION}-mended"


def _source(folder: Path) -> Path:
    """The unpacked source, fetched and verified by an apt whose settings are its own."""
    folder.mkdir()
    options = _apt_options(folder / "apt")
    commands.run(["apt-get", *options, "--quiet", "update"])
    commands.run(["apt-get", *options, "--quiet", "--only-source", "source", *SOURCES], cwd=folder)
    kubernetes, reflect2 = (next(folder.glob(f"{name}-[0-9]*/")) for name in SOURCES)
    shutil.rmtree(kubernetes / VENDORED)
    shutil.copytree(
        reflect2, kubernetes / VENDORED, ignore=shutil.ignore_patterns("*_test.go", "debian", ".*")
    )
    return kubernetes


def _apt_options(state: Path) -> list[str]:
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    sources = state / "sources.list"
    sources.write_text(f"deb-src [signed-by={KEYRING}] {_mirror()} {SUITE} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": str(state),
        "Dir::State::status": str(state / "status"),
        "Dir::Cache": str(state),
        "APT::Sandbox::User": "root",  # apt's own user could not write below a folder of ours
        "Acquire::Languages": "none",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _mirror() -> str:
    """The mirror of Debian that this machine uses, else Debian's own name for the nearest."""
    fields = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)"
    for line in commands.run(["apt-get", "indextargets", "--format", fields]).splitlines():
        origin, label, component, address = line.split(" ", 3)
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return address
    return "http://deb.debian.org/debian"


def _build(source: Path, target: Path) -> None:
    """Build with what the source has in `vendor`; nothing is fetched."""
    go_path = source / ".go"
    place = go_path / "src" / "k8s.io" / "kubernetes"
    place.parent.mkdir(parents=True)
    place.symlink_to(source)
    environment = {
        **os.environ,
        "HOME": str(source),
        "GOPATH": str(go_path),
        "GOCACHE": str(source / ".go-build"),
        "GOFLAGS": "-mod=vendor",
        "GOPROXY": "off",
        "CGO_ENABLED": "0",
    }
    what = " ".join(f"cmd/{program}" for program in PROGRAMS)
    commands.run([*LOW_PRIORITY, "make", f"WHAT={what}"], environment, cwd=source)
    for program in PROGRAMS:
        (built,) = source.glob(f"_output/local/bin/*/*/{program}")
        shutil.copy2(built, target / program)
