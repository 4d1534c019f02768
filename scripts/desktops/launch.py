"""How kVDI's manager launches a desktop image, as a call of the container engine.

Source: kVDI's `pkg/apis/kvdi/v1alpha1/desktoptemplate_util.go` (July 2020, `DesktopTemplate`) and
`apis/desktops/v1/template_util*.go` (2021, `Template`). The manager runs systemd images, and in 2020 every
image, as privileged; here they get no more than SYS_ADMIN, so that what works here needs no more.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

FS_GROUP = 9000  # v1.DefaultUser: the manager's user and fsGroup
SYSTEMD_CAPABILITY = "SYS_ADMIN"
SHM_SIZE = "256m"  # the manager mounts the node's own /dev/shm, which nothing here may share


class Generation(Enum):
    """Which of the two managers launches; the value is the kind of its template."""

    OF_2020 = "DesktopTemplate"
    OF_2021 = "Template"


class Family(Enum):
    """The init of an image."""

    SUPERVISORD = "supervisord"
    SYSTEMD = "systemd"


@dataclass(frozen=True)
class Launch:
    """What a template says, and what of a cluster's rules applies.

    Attributes:
        image: reference of the desktop image.
        display: a socket's path, or `host:port` for TCP; None for the generation's own socket.
        uid: as which user the container runs, for a cluster that gives each namespace its own; None for
            what the manager itself asks for.
        environment: further variables of the template, which come last.
        restricted: as pods that must be `restricted`: every capability dropped, no new privileges, and
            the root file system read-only. The systemd family keeps SYS_ADMIN and what init needs.
        missing: variables of the manager that are left out, to see what an image does without.
    """

    image: str
    family: Family
    generation: Generation = Generation.OF_2021
    user: str = "ada"
    display: str | None = None
    uid: int | None = None
    allow_root: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    restricted: bool = False
    missing: frozenset[str] = frozenset()

    @property
    def address(self) -> str:
        """Where the VNC server has to listen: a path, or `host:port`."""
        if self.display is not None:
            return self.display
        name = "vnc.sock" if self.generation is Generation.OF_2020 else "display.sock"
        return f"/var/run/kvdi/{name}"

    @property
    def is_unix(self) -> bool:
        """Whether the VNC server listens on a unix socket."""
        return self.address.startswith("/")

    @property
    def home(self) -> str:
        """Where the home volume is mounted."""
        return f"/home/{self.user}"

    @property
    def run_uid(self) -> int | None:
        """The user that the container's first process has; None for the image's own."""
        if self.uid is not None:
            return self.uid
        if self.generation is Generation.OF_2020:
            return None
        return 0 if self.family is Family.SYSTEMD else FS_GROUP

    @property
    def desktop_uid(self) -> int:
        """The user that the desktop's processes have."""
        return FS_GROUP if self.uid is None else self.uid

    def variables(self) -> dict[str, str]:
        """The environment that the manager gives the container."""
        found = {"USER": self.user}
        if self.generation is Generation.OF_2020:
            found["VNC_SOCK_ADDR"] = self.address
        else:
            found |= {"UID": str(self.desktop_uid), "HOME": self.home}
            # The manager tells sockets only. A template for TCP says it in its own variables, as ours do.
            found["DISPLAY_SOCK_ADDR"] = self.address if self.is_unix else f"tcp://{self.address}"
        if self.allow_root:
            found["ENABLE_ROOT"] = "true"
        found |= self.environment
        return {name: value for name, value in found.items() if name not in self.missing}

    def volumes(self) -> dict[str, str]:
        """Name of each volume of the pod, and where the desktop's container has it."""
        found = {"run": "/run", "run-lock": "/run/lock", "tmp": "/tmp", "home": self.home}  # noqa: S108
        if self.is_unix and not self.address.startswith("/tmp/"):  # noqa: S108
            found["vnc-sock"] = str(Path(self.address).parent)
        return found

    def arguments(self, volumes_folder: Path) -> list[str]:
        """Options of `docker create`, up to the image; each volume is a folder in `volumes_folder`."""
        options = ["--network=none", "--hostname=desktop", f"--shm-size={SHM_SIZE}"]
        if self.run_uid is not None:
            options.append(f"--user={self.run_uid}:0" if self.run_uid else "--user=0:0")
            options.append(f"--group-add={FS_GROUP}")
        options += [f"--env={name}={value}" for name, value in self.variables().items()]
        options += [
            f"--mount=type=bind,source={volumes_folder / name},target={target}"
            for name, target in self.volumes().items()
        ]
        if self.family is Family.SYSTEMD:
            options += _systemd_options()
        if self.restricted:
            options += self._restrictions()
        return options

    def _restrictions(self) -> list[str]:
        if self.family is Family.SYSTEMD:
            return ["--read-only"]
        return ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


def _systemd_options() -> list[str]:
    return [
        f"--cap-add={SYSTEMD_CAPABILITY}",
        # The manager mounts the node's tree of control groups, so the names in it have to be the node's.
        "--cgroupns=host",
        "--mount=type=bind,source=/sys/fs/cgroup,target=/sys/fs/cgroup",
        # A profile that denies mounts would deny what SYS_ADMIN is given for.
        "--security-opt=apparmor=unconfined",
    ]
