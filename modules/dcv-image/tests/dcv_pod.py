"""What Kubernetes gives the session's pod: token, authority and namespace, with the chart's own objects."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
import kubernetes
import yaml
from dcv_chart import REQUIRED, Helm
from dcv_server.publication.configmap import ConfigMap
from support.kube.control_plane import ISSUER, ControlPlane

ACCOUNT, CONFIG_MAP = "dcv-agent-src-account", "dcv-agent-config-map"
KINDS = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap")


@dataclass(frozen=True)
class Pod:
    """A pod as the publication sees it.

    Attributes:
        control_plane: the API server.
        namespace: of this pod alone.
        folder: where the kubelet would mount the service account.
    """

    control_plane: ControlPlane
    namespace: str
    folder: Path

    @classmethod
    def installed(cls, helm: Helm, control_plane: ControlPlane, namespace: str, folder: Path) -> "Pod":
        """Create what the chart makes for the service account, and mount it."""
        rendered = yaml.safe_load_all(helm.template(REQUIRED, f"--namespace={namespace}"))
        wanted = [document for document in rendered if document and document["kind"] in KINDS]
        control_plane.make_namespace(namespace)
        control_plane.create(yaml.safe_dump_all(wanted), namespace)
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(control_plane.authority.read_bytes())
        (folder / "namespace").write_text(namespace, encoding="utf-8")
        pod = cls(control_plane, namespace, folder)
        pod.mount_token(control_plane.token(namespace, ACCOUNT))
        return pod

    @property
    def environment(self) -> dict[str, str]:
        """Where the API server is."""
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.control_plane.port),
        }

    def target(self, name: str = CONFIG_MAP, environment: Mapping[str, str] | None = None) -> ConfigMap:
        """The publication's own view of a ConfigMap."""
        return ConfigMap(name, self.environment if environment is None else environment, self.folder)

    def mount_token(self, token: str) -> None:
        """Replace the token, as the kubelet does."""
        (self.folder / "token").write_text(token, encoding="utf-8")

    def expired_token(self) -> str:
        """A token that was good an hour ago."""
        account = self.control_plane.core().read_namespaced_service_account(ACCOUNT, self.namespace)
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": f"system:serviceaccount:{self.namespace}:{ACCOUNT}",
            "iat": now - 7200,
            "nbf": now - 7200,
            "exp": now - 3600,
            "kubernetes.io": {
                "namespace": self.namespace,
                "serviceaccount": {"name": ACCOUNT, "uid": account.metadata.uid},
            },
        }
        return jwt.encode(claims, self.control_plane.service_account_key.read_text("utf-8"), "RS256")

    def published(self) -> dict[str, str]:
        """What the ConfigMap holds, as its administrator sees it."""
        return dict(self._core.read_namespaced_config_map(CONFIG_MAP, self.namespace).data or {})

    def change(self, data: Mapping[str, str]) -> None:
        """Somebody else writes into the ConfigMap."""
        self._core.patch_namespaced_config_map(CONFIG_MAP, self.namespace, {"data": dict(data)})

    def version(self) -> str:
        """Changes with every write."""
        version: str = self._core.read_namespaced_config_map(
            CONFIG_MAP, self.namespace
        ).metadata.resource_version
        return version

    def remove_config_map(self) -> None:
        """Somebody deletes it."""
        self._core.delete_namespaced_config_map(CONFIG_MAP, self.namespace)

    def make_config_map(self) -> None:
        """Somebody makes it again."""
        self._core.create_namespaced_config_map(self.namespace, {"metadata": {"name": CONFIG_MAP}})

    def withdraw_role(self) -> None:
        """Somebody takes the Role away."""
        rbac = kubernetes.client.RbacAuthorizationV1Api(self.control_plane.admin)
        rbac.delete_namespaced_role_binding("dcv-display", self.namespace)

    @property
    def _core(self) -> kubernetes.client.CoreV1Api:
        return self.control_plane.core()
