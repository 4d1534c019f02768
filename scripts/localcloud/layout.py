"""Where the local cloud keeps things, and the settings that the environment may change."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_PORT_BASE = 14566
MAX_SOCKET_PATH = 100  # bytes; the kernel's limit for a unix socket is 108 (unix(7))


@dataclass(frozen=True)
class Layout:
    """One local cloud: its folder of state, its cache of downloads, its ports.

    Attributes:
        project_folder: the SeedFarmer project that is deployed.
        state: the one folder that holds everything a run makes; safe to remove after `down`.
        cache: downloads and built images that can be made again; shared between clouds.
        port_base: first of the four ports on 127.0.0.1.
        account: AWS account id that the emulator answers with.
        engine: `auto`, `docker` or `podman`.
        iam_wait: whether SeedFarmer waits for IAM as on an account.
    """

    project_folder: Path
    state: Path
    cache: Path
    port_base: int
    account: str
    engine: str
    iam_wait: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Layout":
        """Read `LOCAL_*`; every variable has a default.

        Raises:
            UsageError: a variable has a value that cannot be used.
        """
        state = Path(environment.get("LOCAL_STATE_DIR") or REPOSITORY / ".local").resolve()
        cache = environment.get("AIRGAP_CACHE_DIR") or str(Path.home() / ".cache" / "airgap-modules")
        layout = cls(
            project_folder=Path(environment.get("LOCAL_PROJECT_DIR") or REPOSITORY).resolve(),
            state=state,
            cache=Path(cache).resolve(),
            port_base=_port_base(environment.get("LOCAL_PORT_BASE") or str(DEFAULT_PORT_BASE)),
            account=environment.get("LOCAL_ACCOUNT_ID") or DEFAULT_ACCOUNT,
            engine=environment.get("LOCAL_ENGINE") or "auto",
            iam_wait=_yes_or_no("LOCAL_IAM_WAIT", environment.get("LOCAL_IAM_WAIT") or "yes"),
        )
        layout._check()
        return layout

    def _check(self) -> None:
        if not (self.account.isdigit() and len(self.account) == 12):
            raise UsageError(f"LOCAL_ACCOUNT_ID must be 12 digits, not {self.account!r}")
        if self.engine not in ("auto", "docker", "podman"):
            raise UsageError(f"LOCAL_ENGINE must be auto, docker or podman, not {self.engine!r}")
        # SeedFarmer's generated commands do not quote paths; PATH and mount options end at : and ,
        if re.search(r"[\s:,]", str(self.state)):
            raise UsageError(
                f"the path of the state folder has a space, a colon or a comma: {str(self.state)!r}; "
                "set LOCAL_STATE_DIR to another folder"
            )
        if len(str(self.docker_socket)) > MAX_SOCKET_PATH:
            raise UsageError(
                f"the path of the state folder is too long for a unix socket: {self.state}; "
                "set LOCAL_STATE_DIR to a shorter one"
            )

    @property
    def emulator_port(self) -> int:
        """AWS API and ECR's registry."""
        return self.port_base

    @property
    def source_registry_port(self) -> int:
        """The public registries of the internet in a box."""
        return self.port_base + 1

    @property
    def charts_port(self) -> int:
        """The chart repositories of the internet in a box."""
        return self.port_base + 2

    @property
    def image_builder_port(self) -> int:
        """The build service of a deployment that has one."""
        return self.port_base + 3

    @property
    def emulator_url(self) -> str:
        """Base URL of the emulator."""
        return f"http://127.0.0.1:{self.emulator_port}"

    @property
    def ecr_host(self) -> str:
        """The name that ECR has in references, here as on AWS."""
        return f"{self.account}.dkr.ecr.{REGION}.amazonaws.com"

    @property
    def tools(self) -> Path:
        """Programs installed for this cloud."""
        return self.state / "tools"

    @property
    def run(self) -> Path:
        """One file for each service that runs."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """Logs of services and of SeedFarmer."""
        return self.state / "logs"

    @property
    def builds(self) -> Path:
        """For each project: home, log and timings of each module's last build."""
        return self.state / "builds"

    @property
    def engine_folder(self) -> Path:
        """Data and socket of a container engine that this cloud started."""
        return self.state / "engine"

    @property
    def docker_socket(self) -> Path:
        """Socket of a docker daemon that this cloud started."""
        return self.engine_folder / "docker.sock"


def _port_base(text: str) -> int:
    if text.isdigit() and 1024 <= int(text) <= 65000:
        return int(text)
    raise UsageError(f"LOCAL_PORT_BASE must be a number from 1024 to 65000, not {text!r}")


def _yes_or_no(variable: str, text: str) -> bool:
    if text in ("yes", "no"):
        return text == "yes"
    raise UsageError(f"{variable} must be yes or no, not {text!r}")
