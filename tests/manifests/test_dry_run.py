"""`seedfarmer apply --dry-run`, really run, against the AWS emulator.

It proves that SeedFarmer finds and reads every manifest, module, deployspec and data file, bundles each
module for its checksum, and plans the deployment in order. It cannot prove that AWS would accept
anything: a dry run deploys no module, and the public modules are stand-ins of one file, because they
would have to be cloned from the internet. Their parameters and outputs are checked against
`idf_interfaces.yaml` instead.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from collection.modules import REPOSITORY
from support.emulator import ACCOUNT, Emulator
from support.manifest_checks import GIT_PATH
from support.manifests import deployments, environment_variables, module_uses
from support.seedfarmer_env import seedfarmer_program

STANDIN = Path(__file__).with_name("standin")
PROJECT_PARTS = ("data", "manifests", "modules", "seedfarmer.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, so that SeedFarmer's own folders stay out of the checkout."""
    folder = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "cdk.out")
    for name in PROJECT_PARTS:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture
def git_environment(tmp_path: Path) -> dict[str, str]:
    """Git without the user's configuration, to which the public repositories are stand-ins."""
    config = tmp_path / "gitconfig"
    environment = {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    config.write_text("[user]\n\tname = test\n\temail = test@example.com\n")
    references = _git_references()
    for number, url in enumerate(sorted({url for url, _ in references})):
        repository = tmp_path / f"standin-{number}"
        shutil.copytree(STANDIN, repository)
        branches = [ref for of, ref in references if of == url]
        for command in (
            ["init", "--quiet", "--initial-branch", "main"],
            ["add", "."],
            ["commit", "--quiet", "--message", "stand-in"],
            *(["branch", branch] for branch in sorted(set(branches))),
        ):
            subprocess.run(["git", *command], cwd=repository, env={**os.environ, **environment}, check=True)
        with config.open("a") as file:  # SeedFarmer clones by the URL without `.git`
            base = url.removesuffix(".git")
            file.write(f'[url "file://{repository}"]\n\tinsteadOf = {base}\n')
    return environment


def dry_run(
    deployment: Path, project: Path, emulator: Emulator, git_environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """The real command."""
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [str(seedfarmer_program()), "apply", str(deployment), "--dry-run", "--local"],
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COLUMNS": "250",
            **dict.fromkeys(environment_variables(deployment), ACCOUNT),
            **git_environment,
            **emulator.client_environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_seedfarmer_plans_every_module_in_order(
    deployment: Path, project: Path, emulator: Emulator, git_environment: dict[str, str]
) -> None:
    done = dry_run(deployment, project, emulator, git_environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert planned(done.stdout) == [(use.group, use.name) for use in module_uses(deployment)]


def test_a_dry_run_of_a_broken_manifest_fails(
    project: Path, emulator: Emulator, git_environment: dict[str, str]
) -> None:
    deployment = deployments()[-1]
    broken = project / module_uses(deployment)[-1].path / "deployspec.yaml"
    broken.unlink()

    done = dry_run(deployment, project, emulator, git_environment)

    assert done.returncode != 0
    assert "deployspec.yaml" in done.stdout + done.stderr


def planned(report: str) -> list[tuple[str, str]]:
    """(group, module) of each row in the table of what would be deployed."""
    table = report.partition("scheduled to be deployed")[2]
    rows = [[cell.strip() for cell in line.split("│")] for line in table.splitlines() if line.startswith("│")]
    return [(row[4], row[5]) for row in rows]


def _git_references() -> set[tuple[str, str]]:
    matches = (
        GIT_PATH.fullmatch(use.path) for deployment in deployments() for use in module_uses(deployment)
    )
    return {(match["url"], match["ref"]) for match in matches if match}
