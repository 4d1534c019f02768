"""The operating systems that the image can be built on, as their `/etc/os-release` names them."""

from dataclasses import dataclass

from .shared.errors import UserError

# Go's name for an architecture -> the vendors'.
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class OperatingSystem:
    """What differs between systems before anything runs on them.

    Attributes:
        dcv_name: the system's name in the names of Amazon DCV's archives.
        python: version of the Python that `image/install.sh` installs.
    """

    dcv_name: str
    python: str


# `ID-VERSION_ID` of os-release(5). There is no archive for Debian; one for Ubuntu 22.04 has the nearest
# libraries.
SUPPORTED = {
    "amzn-2023": OperatingSystem("amzn2023", "3.9"),
    "amzn-2": OperatingSystem("amzn2", "3.8"),
    "ubuntu-22.04": OperatingSystem("ubuntu2204", "3.10"),
    "ubuntu-24.04": OperatingSystem("ubuntu2404", "3.12"),
    "debian-12": OperatingSystem("ubuntu2204", "3.11"),
}
RELEASE_FILE = "/usr/lib/os-release"


def identify(release: str, base: str, parameter: str) -> OperatingSystem:
    """The system that a base image's os-release describes.

    Args:
        release: content of the file.
        base: reference of the image, for messages.
        parameter: manifest parameter that the image comes from, for messages.

    Raises:
        UserError: the image cannot be built on it.
    """
    lines = (line.partition("=") for line in release.splitlines())
    values = {name: value.strip("\"'") for name, _, value in lines}
    found = SUPPORTED.get(f"{values.get('ID')}-{values.get('VERSION_ID')}")
    if found is None:
        shown = values.get("PRETTY_NAME") or values.get("ID") or "without a name"
        raise UserError(
            f"manifest parameter `{parameter}`: the operating system of {base} is {shown}; it must be Amazon "
            "Linux 2023 or 2, Ubuntu 22.04 or 24.04, or Debian 12"
        )
    return found


def vendor_architecture(architecture: str, base: str, parameter: str) -> str:
    """The vendors' name of an architecture.

    Raises:
        UserError: there is nothing to install for it.
    """
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"manifest parameter `{parameter}`: {base} is for {architecture}; it must be for amd64 or arm64"
        )
    return ARCHITECTURES[architecture]
