"""The modules of the collection and where their parts are."""

from dataclasses import dataclass
from pathlib import Path

from .errors import CollectionError

REPOSITORY = Path(__file__).resolve().parents[2]
# Folder of code that several modules have the same copy of -> the module with the original.
SHARED_OWNERS = {
    "shared": "dockerimage-replication",
    "shared_build": "dcv-image",
    # The client of registries, and the HTTP client below it.
    "oci": "dockerimage-replication",
    "http1": "dockerimage-replication",
}


@dataclass(frozen=True)
class Module:
    """A module's folder, which is all that SeedFarmer ships of it."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def package_name(self) -> str:
        """Import name of the module's package: `dcv-image` has `dcv_image`."""
        return self.name.replace("-", "_")

    @property
    def package(self) -> Path:
        """Folder of the module's package."""
        return self.folder / self.package_name

    @property
    def shared(self) -> Path:
        """Folder of the code that all modules have the same copy of."""
        return self.package / "shared"

    @property
    def readme(self) -> Path:
        """The module's README."""
        return self.folder / "README.md"


def modules(repository: Path = REPOSITORY) -> list[Module]:
    """All modules of a checkout, by name."""
    folders = sorted((repository / "modules").iterdir())
    return [Module(folder) for folder in folders if folder.is_dir() and not folder.name.startswith(".")]


def shared_original(folder: str, repository: Path = REPOSITORY) -> Path:
    """Where the original of a folder of shared code is.

    Raises:
        CollectionError: it is not there.
    """
    owner = Module(repository / "modules" / SHARED_OWNERS[folder])
    original = owner.package / folder
    if not original.is_dir():
        raise CollectionError(f"{original} does not exist: it is where the shared code belongs")
    return original
