"""Builds on a cluster need a cluster, and a database that pods can reach."""

import pytest
from image_builder.service_settings import read_settings
from image_builder.shared.errors import ParameterError

COMPLETE = {
    "DCRX_KV_SECRET_KEY": "a-secret-with-at-least-thirty-two-bytes",
    "DCRX_KV_BUILDS": "kubernetes",
    "DCRX_KV_DATABASE_TYPE": "asyncpg",
    "DCRX_KV_CLUSTER_JOB_TEMPLATE": "/etc/image-builder/job.yaml",
    "DCRX_KV_CLUSTER_NAMESPACE": "builds",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
}


def test_builds_are_local_unless_it_is_said() -> None:
    local = {"DCRX_KV_SECRET_KEY": COMPLETE["DCRX_KV_SECRET_KEY"], "KUBERNETES_SERVICE_HOST": "10.96.0.1"}

    assert read_settings(local).builds == "local"


def test_a_cluster_is_described_by_the_settings() -> None:
    place = read_settings(COMPLETE).cluster

    assert (place.namespace, place.host, place.port) == ("builds", "10.96.0.1", 443)
    assert str(place.credentials) == "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.mark.parametrize(
    "name", ["DCRX_KV_CLUSTER_JOB_TEMPLATE", "DCRX_KV_CLUSTER_NAMESPACE", "KUBERNETES_SERVICE_HOST"]
)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} must be set when DCRX_KV_BUILDS is kubernetes"):
        read_settings({key: value for key, value in COMPLETE.items() if key != name})


def test_a_database_in_a_file_is_refused() -> None:
    with pytest.raises(ParameterError, match="DCRX_KV_DATABASE_TYPE must be asyncpg or mysql"):
        read_settings({**COMPLETE, "DCRX_KV_DATABASE_TYPE": "sqlite"})
