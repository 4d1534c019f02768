"""Builds as Jobs of a real cluster: API server, controllers, scheduler, kubelet; PostgreSQL, a registry."""

import os
from typing import Any

import pytest
from image_builder.cluster.permissions import PERMISSIONS
from support.kube.audit import Account
from support.kube.builds import FINAL, wait_until
from support.kube.slow_source import SlowSource
from support.kube.team import ACCOUNT, Team

pytestmark = pytest.mark.engine

LONG = bool(os.environ.get("AIRGAP_LONG"))
slow = pytest.mark.skipif(
    not LONG, reason="waits for what the cluster's engine says late: AIRGAP_LONG=1 runs it"
)

BUILDS = 50 if LONG else 15
AT_ONCE = 6
ENTRYPOINT = {"layer_type": "entrypoint", "command": ["/bin/busybox", "sh", "-c"]}


def waiting_for(source: SlowSource) -> dict[str, Any]:
    """A layer that takes as long as the test wants."""
    return {"layer_type": "add", "source": source.url, "destination": "/file"}


def test_a_build_is_a_job_whose_log_arrives_and_whose_image_runs(team: Team, source: SlowSource) -> None:
    team.start(DCRX_KV_ALLOWED_HOSTS=source.address)
    client = team.client()
    says = {"layer_type": "cmd", "command": ["echo it runs"]}

    job_id = client.create(team.request("hello", waiting_for(source), ENTRYPOINT, says))
    wait_until(source.newly_asked, team)

    (job,), (pod,) = team.jobs(), team.pods()
    assert job.metadata.name == f"build-{job_id}-1"
    assert (pod.spec.service_account_name, pod.spec.restart_policy) == ("image-builder-builds", "Never")
    assert pod.spec.automount_service_account_token is False
    wait_until(lambda: f"stage 0: {team.surroundings.base} is " in client.log(job_id), team)
    assert client.get(job_id)["status"] not in FINAL

    source.released.set()
    built = client.ended(job_id)

    assert (built["status"], built["attempt"]) == ("DONE", 1), built
    wait_until(lambda: not team.jobs(), team)
    wait_until(lambda: not team.pods(), team)
    image = f"{team.surroundings.registry}/{team.namespace}/hello@{built['digest']}"
    assert team.output_of(image) == "it runs\n"


def test_cancel_by_another_replica_ends_the_pod(team: Team, source: SlowSource) -> None:
    team.start(replicas=2, DCRX_KV_ALLOWED_HOSTS=source.address)
    job_id = team.client(0).create(team.request("cancelled", waiting_for(source)))
    wait_until(source.newly_asked, team)

    team.client(1).cancel(job_id)

    assert team.client(0).ended(job_id)["status"] == "CANCELLED"
    wait_until(lambda: not team.pods() and not team.jobs(), team)


def test_a_killed_pod_and_a_killed_replica_lose_nothing(team: Team, source: SlowSource) -> None:
    """The first pod is deleted (as a drained node does), the second one's process is killed."""
    team.start(replicas=2, DCRX_KV_ALLOWED_HOSTS=source.address, DCRX_KV_JOB_LEASE="10s")
    job_id = team.client(0).create(team.request("survivor", waiting_for(source)))
    wait_until(source.newly_asked, team)

    (pod,) = team.pods()
    team.core.delete_namespaced_pod(pod.metadata.name, team.namespace, grace_period_seconds=0)
    team.replicas[0].kill()
    wait_until(source.newly_asked, team)
    kill_container(team)
    wait_until(source.newly_asked, team)
    source.released.set()

    built = team.client(1).ended(job_id)
    # A pod that is told to end in time gives its attempt back; one that is killed has used it up.
    assert built["status"] == "DONE", built
    assert built["attempt"] in (2, 3), built


@slow
def test_what_the_cluster_cannot_do_is_said_in_the_jobs_end(team: Team) -> None:
    team.start(
        template={"image": f"{team.surroundings.registry}/nobody/made-this:1"},
        DCRX_KV_JOB_MAX_ATTEMPTS="1",
        DCRX_KV_CLUSTER_START_TIMEOUT="20s",
    )
    client = team.client()

    ended = client.ended(client.create(team.request("never")))

    assert ended["status"] == "FAILED"
    assert "gave up after 1 attempts on the cluster; the last one: " in ended["context"]
    assert "ImagePull" in ended["context"]


@slow
def test_a_pod_without_enough_memory_is_said_to_be_killed_for_it(team: Team) -> None:
    team.start(template={"resources": {"limits": {"memory": "16Mi"}}}, DCRX_KV_JOB_MAX_ATTEMPTS="2")
    client = team.client()

    ended = client.ended(client.create(team.request("large")))

    assert (ended["status"], ended["attempt"]) == ("FAILED", 2)
    assert "OOMKilled" in ended["context"]


def test_many_builds_at_once_respect_the_limit_and_only_granted_verbs_are_used(team: Team) -> None:
    team.start(replicas=2, DCRX_KV_CLUSTER_MAX_JOBS=str(AT_ONCE))
    clients = [team.client(0), team.client(1)]

    ids = [
        clients[number % 2].create(team.request(f"image-{number}", ENTRYPOINT)) for number in range(BUILDS)
    ]
    ended = [clients[0].ended(job_id) for job_id in ids]

    assert {(job["status"], job["attempt"]) for job in ended} == {("DONE", 1)}
    wait_until(lambda: not team.jobs(), team)
    account = Account(team.surroundings.cluster, team.namespace, ACCOUNT)
    assert 1 < account.most_jobs() <= AT_ONCE
    assert account.refused() == []
    assert account.used() <= {
        (item.api_group, item.resource, verb) for item in PERMISSIONS for verb in item.verbs
    }


def kill_container(team: Team) -> None:
    """kill -9 of the process that builds."""
    wait_until(lambda: bool(running(team)), team)  # its process is ahead of what the kubelet has told
    (pod,) = running(team)
    (container,) = pod.status.container_statuses
    team.surroundings.cluster.docker("kill", container.container_id.removeprefix("docker://"))


def running(team: Team) -> list[Any]:
    """The pods that run, and are not about to end."""
    pods = team.pods()
    return [pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]
