"""The chart on a real cluster whose pods run: installed, tested, used, broken, uninstalled."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from support.kube.audit import Account
from support.kube.builds import Surroundings, wait_until
from support.kube.release import ADMINISTRATOR, NAME, SECRETS, Release
from support.kube.slow_source import SlowSource

pytestmark = pytest.mark.engine

RUN = {"layer_type": "run", "command": "echo built by a command > /greeting"}
ENTRYPOINT = {"layer_type": "entrypoint", "command": ["/bin/busybox", "cat", "/greeting"]}


@pytest.fixture
def release(surroundings: Surroundings, tmp_path: Path) -> Iterator[Release]:
    """A namespace, a database and secrets of the test's own; the test installs."""
    release = Release(surroundings, f"chart-{uuid.uuid4().hex[:8]}", tmp_path)
    try:
        release.prepare()
        yield release
    finally:
        release.end()


def values(surroundings: Surroundings, namespace: str, **settings: str) -> dict[str, Any]:
    """What an administrator sets, with builds that run commands."""
    registry = surroundings.registry
    return {
        "image": {"uri": surroundings.image},
        "administratorSecret": ADMINISTRATOR,
        "registry": {"uri": f"http://{registry}/v2/{namespace}"},
        "database": {"uriInSecret": True, "tryOut": {"enabled": False}},
        "builds": {"mode": "kubernetes", "commands": True, "resources": {"requests": {"cpu": "10m"}}},
        "resources": {"requests": {"cpu": "10m"}},
        "settings": {
            "DCRX_KV_REGISTRY_ENDPOINTS": f'{{"{registry}": "http://{registry}"}}',
            "DCRX_KV_JOB_LEASE": "10s",
            **settings,
        },
    }


def granted(release: Release) -> set[tuple[str, str, str]]:
    """API group, resource and verb of what the chart's Role allows."""
    rbac = kubernetes.client.RbacAuthorizationV1Api(release.surroundings.cluster.control_plane.admin)
    rules = rbac.read_namespaced_role(f"{NAME}-builds", release.namespace).rules
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
    }


def test_it_installs_builds_survives_a_killed_replica_and_leaves_nothing(
    release: Release, source: SlowSource
) -> None:
    surroundings = release.surroundings
    release.install(values(surroundings, release.namespace, DCRX_KV_ALLOWED_HOSTS=source.address))
    assert len(release.replicas()) == 3
    release.helm("test", NAME)

    waits = {"layer_type": "add", "source": source.url, "destination": "/file"}
    client = release.client()
    job_id = client.create(release.request("hello", RUN, waits, ENTRYPOINT))
    wait_until(source.newly_asked, release)
    # The one whose turn it may be, and two that have to go on without it.
    for replica in release.replicas()[:2]:
        release.core.delete_namespaced_pod(replica.metadata.name, release.namespace, grace_period_seconds=0)
    (pod,) = release.pods()
    release.core.delete_namespaced_pod(pod.metadata.name, release.namespace, grace_period_seconds=0)
    wait_until(source.newly_asked, release)
    source.released.set()

    built = client.ended(job_id)
    assert built["status"] == "DONE", f"{built}\n{client.log(job_id)}"
    image = f"{surroundings.registry}/{release.namespace}/hello@{built['digest']}"
    assert release.output_of(image) == "built by a command\n"
    wait_until(release.is_ready, release)
    wait_until(lambda: not release.jobs(), release)

    account = Account(surroundings.cluster, release.namespace, NAME)
    assert account.used() == granted(release)
    assert account.refused() == []

    source.released.clear()
    client.create(release.request("unfinished", waits))
    wait_until(source.newly_asked, release)
    release.helm("uninstall", NAME)
    wait_until(lambda: release.remains() == [f"Secret/{ADMINISTRATOR}", f"Secret/{SECRETS}"], release)
