"""What the service may do in its namespace: the rules of its Role, and nothing that is not used."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Permission:
    """One rule of a Role (rbac.authorization.k8s.io/v1)."""

    api_group: str
    resource: str
    verbs: tuple[str, ...]


PERMISSIONS = (
    Permission("batch", "jobs", ("create", "delete", "list")),
    Permission("", "pods", ("list",)),
    # The Jobs' owner alone, by its name.
    Permission("", "configmaps", ("get",)),
)
