"""A base image with dnf, and a local repository of stand-ins for Amazon Linux's packages.

Debian's own dnf and rpm run there; the system says that it is Amazon Linux 2023. So the branch of the
installer that no reachable system has runs for real, signatures included.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .archive import POSTINST, PROGRAMS, StandIn, pack
from .signing import SigningKey

RELEASE = 'ID=amzn\\nVERSION_ID="2023"\\nPRETTY_NAME="Amazon Linux 2023, a stand-in"\\n'
TOOLS = "dnf rpm createrepo-c gpg gpg-agent python3 openssl"
DOCKERFILE = f"""\
ARG BASE
FROM $BASE
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends {TOOLS} && apt-get clean
COPY . /srv/source/
RUN printf '{RELEASE}' >/usr/lib/os-release \\
    && gpg --batch --quiet --import /srv/source/secret-key \\
    && rpmbuild --quiet -bb --define '_rpmdir /srv/built' /srv/source/system.spec \\
    && rpmbuild --quiet -bb --define '_rpmdir /srv/vendor' /srv/source/vendor.spec \\
    && cp -r /srv/vendor /srv/signed \\
    && rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name stand-in' \\
        --addsign /srv/signed/noarch/*.rpm \\
    && createrepo_c --quiet /srv/built \\
    && mkdir -p /etc/yum.repos.d /etc/dnf && rm -rf /root/.gnupg /srv/source \\
    && printf '[standin]\\nname=standin\\nbaseurl=file:///srv/built\\ngpgcheck=0\\n' \\
        >/etc/yum.repos.d/standin.repo
"""
SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: stand-in
License: none
BuildArch: noarch
{more}
%description
stand-in
"""


def amazon_packages(installer: Path) -> list[str]:
    """The packages that `packages.sh` installs on Amazon Linux 2023."""
    found = re.search(r"amzn-2023\).*?SYSTEM_PACKAGES=\((.*?)\)", installer.read_text(), re.DOTALL)
    assert found is not None
    return found[1].split()


@contextmanager
def dnf_base(debian: str, installer: Path, key: SigningKey, name: str) -> Iterator[str]:
    """Build the base image, under that name."""
    with tempfile.TemporaryDirectory(prefix="dnf-base-") as folder:
        context = Path(folder)
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "secret-key").write_bytes(key.run("--armor", "--export-secret-keys"))
        (context / "system.spec").write_text(_system(amazon_packages(installer)))
        (context / "vendor.spec").write_text(_vendor())
        for program in PROGRAMS.iterdir():
            (context / program.name).write_bytes(program.read_bytes())
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", name, "--build-arg", f"BASE={debian}", folder], check=True
        )
    try:
        yield name
    finally:
        subprocess.run(["docker", "image", "rm", name], capture_output=True, check=False)


def vendor_archive(base: str, folder: Path, key: SigningKey, packages: str = "signed") -> StandIn:
    """An archive of the .rpm packages that the base image was built with; `vendor` are the unsigned ones."""
    command = ["docker", "create", base, "/"]
    container = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        subprocess.run(
            ["docker", "cp", f"{container}:/srv/{packages}/noarch", str(folder / "rpm")], check=True
        )
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=False)
    files = {path.name: path.read_bytes() for path in sorted((folder / "rpm").iterdir())}
    return pack(folder, files, key, "amzn2023")


def _system(packages: list[str]) -> str:
    """Empty packages, each with the name that the installer asks for; what they stand on is Debian's."""
    parts = "".join(
        f"%package -n {name}\nSummary: stand-in\nProvides: /bin/sh\n"
        f"%description -n {name}\nstand-in\n%files -n {name}\n"
        for name in packages
    )
    return SPEC.format(name="system", version="1", release="1", more="") + parts


def _vendor() -> str:
    """The server with its programs, and the package of its X server."""
    programs = sorted(path.name for path in PROGRAMS.iterdir())
    installed = "\n".join(
        f"install -D -m 0755 /srv/source/{name} %{{buildroot}}/usr/bin/{name}" for name in programs
    )
    listed = "\n".join(f"/usr/bin/{name}" for name in programs)
    post = POSTINST.partition("\n")[2]
    head = SPEC.format(
        name="nice-dcv-server", version="2025.0.20103", release="1.amzn2023", more="AutoReqProv: no\n"
    )
    return (
        "%global __os_install_post %{nil}\n"
        f"{head}%package -n nice-xdcv\nSummary: stand-in\nVersion: 2025.0.688\n"
        "%description -n nice-xdcv\nstand-in\n%files -n nice-xdcv\n"
        f"%install\n{installed}\n%post\n{post}\n%files\n{listed}\n"
    )
