"""Programs that the machine must have: installed on Debian as root, named exactly elsewhere."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import commands
from .errors import LocalCloudError
from .progress import Progress

# Program -> Debian package that has it.
DEBIAN_PACKAGES = {
    "git": "git",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "gpgconf": "gpgconf",
    "docker-registry": "docker-registry",
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "dockerd": "docker.io",
    "podman": "podman",
    "iptables": "iptables",
    "ip": "iproute2",
    "shellcheck": "shellcheck",
    "openssl": "openssl",
    "skopeo": "skopeo",
    "xclip": "xclip",
    "pactl": "pulseaudio-utils",
    "parec": "pulseaudio-utils",
    "xauth": "xauth",
    "etcd": "etcd-server",
    "go": "golang-go",
    "rsync": "rsync",
    "jq": "jq",
    "make": "make",
    "dpkg-source": "dpkg-dev",
    "buildah": "buildah",
    "newuidmap": "uidmap",
    "busybox": "busybox-static",
    "pg_ctlcluster": "postgresql",  # the server itself is not on PATH
    "mariadbd": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
    "chromium": "chromium",
}
LOCK_SECONDS = 600  # how long another run of apt may take that holds dpkg's lock


def ensure_programs(programs: Sequence[str], progress: Progress) -> None:
    """Make sure that the programs are there.

    Raises:
        LocalCloudError: some are missing and cannot be installed here; says how to get each.
    """
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return
    packages = sorted({DEBIAN_PACKAGES[program] for program in missing})
    if not can_install():
        raise LocalCloudError(
            f"these programs are missing: {', '.join(missing)}. As root on Debian this command installs them "
            f"itself; here, install the equivalent of Debian's packages: {', '.join(packages)}"
        )
    with progress.step(f"installing {', '.join(packages)}"):
        _apt_install(packages)


def can_install() -> bool:
    """Whether this is Debian (or made from it) and the user may install packages."""
    return _is_debian() and os.geteuid() == 0


def _apt_install(packages: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands.run(["apt-get", "update"], environment)
    waiting = ["-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}"]
    install = ["apt-get", *waiting, "install", "--yes", "--no-install-recommends", *packages]
    # A policy of 101 keeps packages from starting their services (invoke-rc.d(8)): what runs here is
    # started and ended by the local cloud alone.
    policy = Path("/usr/sbin/policy-rc.d")
    made_policy = not policy.exists()
    if made_policy:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)
    try:
        commands.run(install, environment)
    finally:
        if made_policy:
            policy.unlink()


def _is_debian() -> bool:
    release = Path("/etc/os-release")
    text = release.read_text("utf-8") if release.exists() else ""
    return bool(shutil.which("apt-get")) and ("ID=debian" in text or "ID_LIKE=debian" in text)
