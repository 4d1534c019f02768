"""The plain parts of the local cloud: settings, ports, services, staging, manifests."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from localcloud import emulator
from localcloud.errors import LocalCloudError, UsageError
from localcloud.layout import Layout
from localcloud.lock import exclusive
from localcloud.manifests import data_digest, load
from localcloud.ports import require_free
from localcloud.project import Project
from localcloud.seedfarmer import _for_people
from localcloud.services import Services


def test_every_setting_has_a_default() -> None:
    layout = Layout.from_environment({})
    assert (layout.emulator_port, layout.source_registry_port, layout.charts_port) == (14566, 14567, 14568)
    assert layout.image_builder_port == 14569
    assert layout.state == layout.project_folder / ".local"
    assert layout.ecr_host == "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOCAL_PORT_BASE", "80"),
        ("LOCAL_PORT_BASE", "x"),
        ("LOCAL_ACCOUNT_ID", "1"),
        ("LOCAL_ENGINE", "lxc"),
        ("LOCAL_IAM_WAIT", "12"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.*{value}"):
        Layout.from_environment({name: value})


def test_a_taken_port_is_named_with_the_process_that_holds_it() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(LocalCloudError, match=rf"port {port} .* by process {os.getpid()} "):
            require_free(port, "the test")
    require_free(port, "the test")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(tmp_path / "run", tmp_path / "logs")


def sleeper(seconds: int) -> list[str]:
    return [sys.executable, "-c", f"import time; time.sleep({seconds})"]


def test_a_service_runs_once_and_again_when_its_command_changes(services: Services) -> None:
    def ensure(seconds: int) -> int:
        return services.ensure("s", sleeper(seconds), os.environ, "nowhere", lambda: True).pid

    try:
        first = ensure(1000)
        assert ensure(1000) == first
        second = ensure(1001)
        assert second != first
        assert [service.pid for service in services.running()] == [second]
    finally:
        assert services.stop_all() == ["s"]
    assert services.running() == []


def test_a_service_that_ends_while_it_starts_shows_its_log(services: Services) -> None:
    command = [sys.executable, "-c", "print('why it ended')"]
    with pytest.raises(LocalCloudError, match=r"(?s)s ended while it started.*why it ended"):
        services.ensure("s", command, os.environ, "nowhere", lambda: False)
    assert services.running() == []


def test_staging_follows_the_project_and_leaves_role_stacks_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    module = source / "modules" / "m"
    module.mkdir(parents=True)
    (source / "seedfarmer.yaml").write_text("project: p\n")
    for name in ("deployspec.yaml", "modulestack.yaml", "old.py"):
        (module / name).write_text(name)
    project = Project.at(source, tmp_path / "state")
    project.stage(module_roles=False)
    staged = project.staged / "modules" / "m"
    assert sorted(path.name for path in staged.iterdir()) == ["deployspec.yaml", "old.py"]

    (module / "old.py").unlink()
    (module / "new.py").write_text("new")
    (project.staged / "seedfarmer.gitmodules" / "clone").mkdir(parents=True)
    (project.staged / "seedfarmer.gitmodules" / "clone" / "file").touch()
    project.stage(module_roles=True)
    assert sorted(path.name for path in staged.iterdir()) == ["deployspec.yaml", "modulestack.yaml", "new.py"]
    assert (project.staged / "seedfarmer.gitmodules" / "clone" / "file").exists()


@pytest.mark.parametrize(
    ("content", "named"), [(None, "does not exist"), ("a: [", "does not name"), ("x: 1", "does not name")]
)
def test_a_folder_that_is_no_project(tmp_path: Path, content: str | None, named: str) -> None:
    if content is not None:
        (tmp_path / "seedfarmer.yaml").write_text(content)
    with pytest.raises(UsageError, match=named):
        Project.at(tmp_path, tmp_path / "state")


def write_manifests(folder: Path) -> None:
    (folder / "d.yaml").write_text(
        "name: dep\ntargetAccountMappings: []\n"
        "groups: [{name: g, path: g.yaml}, {name: h, modules: [{name: n}]}]\n"
    )
    (folder / "g.yaml").write_text("name: m\ndataFiles: [{filePath: x.yaml}]\n---\nname: k\n")
    (folder / "x.yaml").write_text("one")


def test_a_deployment_has_the_modules_of_its_groups(tmp_path: Path) -> None:
    write_manifests(tmp_path)
    deployment = load(tmp_path, "d.yaml")
    assert deployment.name == "dep"
    assert [(module.group, module.name) for module in deployment.modules] == [
        ("g", "m"),
        ("g", "k"),
        ("h", "n"),
    ]


def test_the_digest_of_data_files_follows_their_content(tmp_path: Path) -> None:
    write_manifests(tmp_path)
    module = load(tmp_path, "d.yaml").modules[0]
    before = data_digest(tmp_path, module)
    (tmp_path / "x.yaml").write_text("two")
    assert data_digest(tmp_path, module) != before
    (tmp_path / "x.yaml").write_text("one")
    assert data_digest(tmp_path, module) == before


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "does not exist"),
        ("a: [", "is not YAML"),
        ("- 1", "mappings"),
        ("x: 1", "`name`"),
        ("name: group\npath: modules/x", "`groups`"),
        ("name: d\ntargetAccountMappings: []\ngroups: foo", "`groups` must be a list"),
        ("name: d\ntargetAccountMappings: []\ngroups: [{modules: []}]", "no `name`"),
        (
            "name: d\ntargetAccountMappings: []\ngroups: [{name: g, modules: [{name: m, dataFiles: [foo]}]}]",
            "`dataFiles`",
        ),
        (
            "name: d\ntargetAccountMappings: []\n"
            "groups: [{name: g, modules: [{name: m, dataFiles: [{filePath: gone.yaml}]}]}]",
            "gone.yaml of module m does not exist",
        ),
    ],
)
def test_a_bad_manifest_is_named(tmp_path: Path, text: str | None, named: str) -> None:
    if text is not None:
        (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(UsageError, match=rf"d\.yaml.*{named}"):
        load(tmp_path, "d.yaml")


def test_people_see_seedfarmers_message_without_log_and_traceback() -> None:
    printed = [
        "[2026-01-02 03:04:05,678 | INFO | MainThread ] Apply request",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "    something()",
        "ValueError: what was wrong",
        "@build dep-g-m: build started",
        "",
        "Please check your manifest.",
    ]
    assert _for_people(printed) == ["ValueError: what was wrong", "Please check your manifest."]


def test_a_state_folder_without_spaces_or_colons_is_asked_for() -> None:
    for bad in ("/tmp/a b", "/tmp/a:b", "/tmp/a,b"):
        with pytest.raises(UsageError, match="LOCAL_STATE_DIR"):
            Layout.from_environment({"LOCAL_STATE_DIR": bad})


def test_an_empty_variable_is_as_good_as_none() -> None:
    empty = dict.fromkeys(("LOCAL_STATE_DIR", "LOCAL_PORT_BASE", "LOCAL_ENGINE", "LOCAL_PROJECT_DIR"), "")
    assert Layout.from_environment(empty) == Layout.from_environment({})


def test_a_folder_with_other_things_in_it_is_not_taken_for_state(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    layout = Layout.from_environment({"LOCAL_STATE_DIR": str(tmp_path)})
    with pytest.raises(UsageError, match="tools"), exclusive(layout):
        pass
    assert (tmp_path / "tools").is_dir()


def test_aws_settings_and_proxies_of_the_user_do_not_reach_the_emulators_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_SSM", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "corporate")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "intranet")
    layout = Layout.from_environment({})
    environment = emulator.clean_environment(layout)
    assert "corporate" not in environment.values()
    assert environment["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert environment["HTTP_PROXY"] == "http://127.0.0.1:9"  # package indexes still need it
    client = emulator.client(layout, "ssm")
    assert client.meta.endpoint_url == layout.emulator_url
    assert client.meta.config.proxies == {}


def test_a_file_that_became_a_folder_is_staged(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "seedfarmer.yaml").write_text("project: p\n")
    (source / "x").write_text("a file")
    project = Project.at(source, tmp_path / "state")
    project.stage(module_roles=False)
    (source / "x").unlink()
    (source / "x").mkdir()
    (source / "x" / "y").write_text("in a folder")
    project.stage(module_roles=False)
    assert (project.staged / "x" / "y").read_text() == "in a folder"


def test_a_record_that_cannot_be_read_does_not_stop_the_others(services: Services) -> None:
    services.run.mkdir()
    (services.run / "broken.json").write_text("")
    assert services.running() == []
    assert services.stop_all() == []
    assert list(services.run.iterdir()) == []


def test_a_service_that_ended_by_itself_is_told_from_one_that_never_ran(services: Services) -> None:
    service = services.ensure("s", sleeper(1000), os.environ, "nowhere", lambda: True)
    os.kill(service.pid, signal.SIGKILL)
    os.waitpid(service.pid, 0)
    assert services.has_ended("s")
    assert not services.has_ended("never")
