"""The stand-in for CodeBuild's agent does what the agent does, for the one call that SeedFarmer makes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from localcloud.agent import record, settings
from localcloud.agent.call import AGENT_IMAGE, is_agent_call, parse

SCRIPTS = Path(__file__).parents[2] / "scripts"
ID = "dep-group-module"


class Agent:
    """The agent with a bundle of its own, called as SeedFarmer calls it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "bundles" / ID
        self.builds = folder / "builds"
        (self.source / "bundle" / "module").mkdir(parents=True)
        (self.source / "buildspec").mkdir()
        self.builds.mkdir()
        (self.source / "bundle" / "module" / "deployspec.yaml").write_text("deploy: {phases: {}}\n")
        self.settings_file = folder / "agent.json"
        self.shared = folder / "shared"
        self.machines = self.shared / "machines"
        self.machines.mkdir(parents=True)
        settings.write(
            self.settings_file,
            settings.AgentSettings(
                builds=str(self.builds),
                path=os.environ["PATH"].split(":"),
                environment={"FROM_SETTINGS": "yes"},
                copy_on_write=[str(self.shared)],
                machines=[str(self.machines)],
                docker="/bin/echo",
            ),
        )

    def start(self, phases: dict[str, object], variables: str = "", **env: object) -> "subprocess.Popen[str]":
        spec = {"version": 0.2, "env": {"shell": "bash", "variables": env}, "phases": phases}
        (self.source / "buildspec" / "buildspec.yaml").write_text(yaml.safe_dump(spec))
        (self.source / "local.env").write_text(variables)
        return subprocess.Popen(
            [sys.executable, "-m", "localcloud.agent", *self.arguments()],
            env={
                **os.environ,
                "PYTHONPATH": str(SCRIPTS),
                settings.VARIABLE: str(self.settings_file),
                "LEAKED_SECRET": "must not reach the build",
            },
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, phases: dict[str, object], variables: str = "", **env: object) -> int:
        process = self.start(phases, variables, **env)
        process.communicate()
        return process.returncode

    def arguments(self) -> list[str]:
        return [
            "run",
            *("-v", "/var/run/docker.sock:/var/run/docker.sock"),
            *("-e", "IMAGE_NAME=some/image"),
            *("-e", f"SOURCE={self.source}/"),
            *("-e", f"BUILDSPEC={self.source}/buildspec/buildspec.yaml"),
            *("-v", f"{self.source}/:/LocalBuild/envFile/"),
            *("-e", "ENV_VAR_FILE=local.env"),
            *("-e", "AWS_REGION=eu-central-1"),
            AGENT_IMAGE,
        ]

    @property
    def log(self) -> str:
        return (self.builds / ID / "build.log").read_text()

    @property
    def record(self) -> record.BuildRecord:
        found = record.read(self.builds / ID)
        assert found is not None
        return found

    def said(self) -> list[str]:
        """What the commands printed, without the agent's own marks."""
        return [line for line in self.log.splitlines() if not line.startswith("@@ ")]


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def commands(*texts: str) -> dict[str, object]:
    return {"commands": list(texts), "on-failure": "ABORT"}


def test_phases_run_in_the_order_of_codebuild_and_share_one_shell(agent: Agent) -> None:
    status = agent.run(
        {
            "post_build": commands('echo "4 $KEPT $PWD"'),
            "install": commands("echo 1", "export KEPT=exported", "cd bundle"),
            "build": commands("echo 3"),
            "pre_build": commands("echo 2"),
        }
    )
    assert status == 0
    assert agent.said() == ["1", "2", "3", f"4 exported {agent.source}/bundle"]


def test_the_first_failing_command_ends_the_build(agent: Agent) -> None:
    status = agent.run(
        {"build": commands("echo before", "(exit 7)", "echo after"), "post_build": commands("echo late")}
    )
    assert status == 1
    assert agent.said() == ["before"]
    failed = agent.record.failed_command
    assert failed is not None
    assert (failed.phase, failed.command, failed.status) == ("build", "(exit 7)", 7)


def test_finally_runs_after_a_failure(agent: Agent) -> None:
    assert agent.run({"build": {"commands": ["false", "echo no"], "finally": ["echo cleaned"]}}) == 1
    assert agent.said() == ["cleaned"]


def test_a_command_that_ends_the_shell_is_no_success(agent: Agent) -> None:
    assert agent.run({"build": commands("exit 0", "echo after")}) == 1
    failed = agent.record.failed_command
    assert failed is not None
    assert failed.command == "exit 0"


def test_variables_come_from_the_file_the_call_and_the_buildspec(agent: Agent) -> None:
    document = json.dumps({"key": "a = b", "quote": "it's $HOME"})
    shown = 'echo "$DOCUMENT|$AWS_REGION|$FROM_SPEC|$FROM_SETTINGS|${LEAKED_SECRET:-none}"'
    assert agent.run({"build": commands(shown)}, f"DOCUMENT={document}\n", FROM_SPEC="spec") == 0
    assert agent.said() == [f"{document}|eu-central-1|spec|yes|none"]


def test_commands_of_several_lines_and_here_documents(agent: Agent) -> None:
    assert agent.run({"build": commands("cat <<EOF > out.txt\none\ntwo\nEOF", "cat out.txt")}) == 0
    assert agent.said() == ["one", "two"]


def test_each_build_has_its_own_home_and_its_own_var(agent: Agent) -> None:
    assert not Path("/var/scripts").exists()
    wrote = commands("mkdir -p /var/scripts/", "echo x > /var/scripts/x", "cat /var/scripts/x", "echo ~")
    assert agent.run({"build": wrote}) == 0
    assert agent.said() == ["x", str(agent.builds / ID / "home")]
    assert not Path("/var/scripts").exists()


def test_what_a_build_changes_in_a_shared_folder_only_it_sees(agent: Agent) -> None:
    (agent.shared / "tool").write_text("original\n")
    spoil = commands(f"echo spoiled > {agent.shared}/tool", f"cat {agent.shared}/tool")
    assert agent.run({"build": spoil}) == 0
    assert agent.said() == ["spoiled"]
    assert (agent.shared / "tool").read_text() == "original\n"


def test_builds_that_run_at_once_see_the_machines_own_folders(agent: Agent) -> None:
    (agent.machines / "before").write_text("of another build\n")
    status = agent.run({"build": commands(f"cd {agent.machines}", "cat before", "echo of this one > after")})
    assert status == 0
    assert agent.said() == ["of another build"]
    assert (agent.machines / "after").read_text() == "of this one\n"


def test_mounts_and_processes_end_with_the_build(agent: Agent) -> None:
    assert agent.run({"build": commands("sleep 1000 & echo started")}) == 0
    assert str(agent.builds) not in Path("/proc/self/mounts").read_text()
    assert running(agent, "sleep 1000") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_agent_leaves_no_process(agent: Agent, number: signal.Signals) -> None:
    process = agent.start({"build": commands("echo $$ > started", "sleep 1000")})
    marker = agent.source / "started"
    subprocess.run(["sh", "-c", f"until [ -s {marker} ]; do sleep 0.05; done"], check=True, timeout=60)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert running(agent, "sleep 1000") == []


def test_the_record_has_a_time_for_each_command(agent: Agent) -> None:
    assert agent.run({"install": commands("true"), "build": commands("sleep 2")}) == 0
    first, second = agent.record.commands
    assert (first.phase, first.status, second.phase, second.status) == ("install", 0, "build", 0)
    assert second.seconds >= 1.9
    assert 0 <= first.seconds < second.seconds


def test_other_calls_go_to_the_real_client(agent: Agent) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localcloud.agent", "ps", "--all"],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), settings.VARIABLE: str(agent.settings_file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "ps --all\n"


def test_only_seedfarmers_call_is_the_agents(agent: Agent) -> None:
    assert is_agent_call(agent.arguments())
    assert not is_agent_call(["run", "--rm", "busybox"])
    assert not is_agent_call(["pull", AGENT_IMAGE])


def test_a_call_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="SOURCE"):
        parse(["run", "-e", "BUILDSPEC=x", AGENT_IMAGE])


def running(agent: Agent, command: str) -> list[str]:
    """Processes with this command line whose environment names the agent's folders."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            environment = (path / "environ").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if line == command and str(agent.builds) in environment:
            found.append(path.name)
    return found
