"""What is published and where to, from the container's environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONFIG_MAP = "DCV_EKS_CONFIG_MAP_NAME"
DISPLAY_PARAMETER = "DCV_EKS_DISPLAY_PARAMETER_STORE"
SOCKET_MOUNT_PATH = "DCV_EKS_SOCKET_MOUNT_PATH"
DEFAULT_SOCKET_MOUNT_PATH = "/var/addf/dcv-eks/sockets"  # on the node, as the ADDF consumer mounts it
SOCKET_PARAMETER_NAME = "dcv-socket-mount-path"  # beside the display's parameter


@dataclass(frozen=True)
class PublicationSettings:
    """Where the display is published; a target that is None is turned off.

    Attributes:
        config_map: name of the ConfigMap in the pod's namespace.
        display_parameter: name of the SSM parameter for the display.
        socket_mount_path: folder on the node that holds the display's socket.
    """

    config_map: str | None
    display_parameter: str | None
    socket_mount_path: str = DEFAULT_SOCKET_MOUNT_PATH

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> PublicationSettings:
        """The settings; a variable that is not set, or empty, turns its target off."""
        return cls(
            environment.get(CONFIG_MAP) or None,
            environment.get(DISPLAY_PARAMETER) or None,
            environment.get(SOCKET_MOUNT_PATH) or DEFAULT_SOCKET_MOUNT_PATH,
        )

    @property
    def enabled(self) -> bool:
        """Whether anything is published at all."""
        return bool(self.config_map or self.display_parameter)

    @property
    def socket_parameter(self) -> str | None:
        """Name of the SSM parameter for the socket folder."""
        if self.display_parameter is None:
            return None
        folder, slash, _ = self.display_parameter.rpartition("/")
        return f"{folder}{slash}{SOCKET_PARAMETER_NAME}"
