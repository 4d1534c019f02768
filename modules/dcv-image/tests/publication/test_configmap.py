"""The ConfigMap on a real API server, as a service account that has the chart's Role and nothing else."""

import pytest
from dcv_pod import ACCOUNT, Pod
from dcv_server.publication.errors import PublicationError

VALUES = {"display": ":3", "socket_mount_path": "/var/addf/dcv-eks/sockets"}


def test_values_are_written_beside_what_others_keep_there(pod: Pod) -> None:
    pod.change({"other": "stays"})

    pod.target().ensure(VALUES)

    assert pod.published() == {**VALUES, "other": "stays"}


def test_values_that_are_there_are_not_written_again(pod: Pod) -> None:
    pod.target().ensure(VALUES)
    version = pod.version()

    pod.target().ensure(VALUES)

    assert pod.version() == version


def test_what_somebody_changed_is_put_right(pod: Pod) -> None:
    pod.target().ensure(VALUES)
    pod.change({"display": ":99"})

    pod.target().ensure(VALUES)

    assert pod.published() == VALUES


def test_the_role_reaches_no_other_configmap(pod: Pod) -> None:
    core = pod.control_plane.core()
    core.create_namespaced_config_map(pod.namespace, {"metadata": {"name": "neighbour"}})

    with pytest.raises(PublicationError, match=r"may not list it \(403\)"):
        pod.target("neighbour").ensure(VALUES)


def test_a_configmap_that_is_gone_is_named_and_found_again(pod: Pod) -> None:
    pod.remove_config_map()

    with pytest.raises(PublicationError, match=f"does not exist in the namespace {pod.namespace}"):
        pod.target().ensure(VALUES)
    pod.make_config_map()
    pod.target().ensure(VALUES)

    assert pod.published() == VALUES


def test_a_role_that_was_taken_away_is_named(pod: Pod) -> None:
    pod.withdraw_role()

    with pytest.raises(PublicationError, match=r"may not list it \(403\).*Role"):
        pod.target().ensure(VALUES)


def test_an_expired_token_is_named_and_its_successor_is_read(pod: Pod) -> None:
    target = pod.target()
    pod.mount_token(pod.expired_token())

    with pytest.raises(PublicationError, match=r"\(401\): it is expired"):
        target.ensure(VALUES)
    pod.mount_token(pod.control_plane.token(pod.namespace, ACCOUNT))
    target.ensure(VALUES)

    assert pod.published() == VALUES


def test_a_pod_without_token_is_told_what_to_set(pod: Pod) -> None:
    (pod.folder / "token").unlink()

    with pytest.raises(PublicationError, match="automountServiceAccountToken: true"):
        pod.target().ensure(VALUES)


def test_a_server_of_another_authority_is_not_spoken_to(pod: Pod) -> None:
    other = pod.control_plane.authority.with_name("server.crt")  # trusted by none as an authority
    (pod.folder / "ca.crt").write_bytes(other.read_bytes())

    with pytest.raises(PublicationError, match=r"cannot be reached: .*certificate verify failed"):
        pod.target().ensure(VALUES)


def test_a_server_that_hangs_is_given_up(pod: Pod) -> None:
    with pod.control_plane.paused(), pytest.raises(PublicationError, match=r"API server at .* timed out"):
        pod.target().ensure(VALUES)


def test_outside_of_kubernetes_the_message_says_so(pod: Pod) -> None:
    with pytest.raises(PublicationError, match="this is no pod"):
        pod.target(environment={}).ensure(VALUES)
