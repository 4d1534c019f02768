"""Facts of SeedFarmer that this code works around; a test that fails says that a work-around can go."""

import subprocess
from pathlib import Path

from localcloud.seedfarmer import WITHOUT_IAM_WAIT
from support.seedfarmer_env import seedfarmer_environment

CHECKSUM = """
import sys
from seedfarmer.checksum import get_module_md5
from seedfarmer.models.manifests import DataFile
project, module, name = sys.argv[1:]
data = DataFile(file_path=name)
data.set_local_file_path(f"{project}/{name}")
print(get_module_md5(project, module, [data], []))
"""

PAUSE = """
import inspect, runpy, sys, time
import seedfarmer.__main__
import seedfarmer.commands._stack_commands as stacks
assert "time.sleep(12)" in inspect.getsource(stacks.create_module_deployment_role)
seedfarmer.__main__.main = lambda: 0
time.sleep = lambda seconds: print("slept", seconds)
try:
    runpy.run_path(sys.argv[1], run_name="__main__")
except SystemExit as ended:
    assert ended.code == 0
stacks.time.sleep(12)
stacks.time.sleep(30)
"""


def test_the_content_of_local_data_files_is_not_in_a_modules_checksum(tmp_path: Path) -> None:
    """Why `localcloud.datafiles` taints modules. When this fails, SeedFarmer's own detection works."""
    (tmp_path / "seedfarmer.yaml").write_text("project: p\n")
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "deployspec.yaml").touch()
    python = seedfarmer_environment() / "bin" / "python"

    def checksum(content: str) -> str:
        (tmp_path / "data.yaml").write_text(content)
        return subprocess.run(
            [str(python), "-c", CHECKSUM, str(tmp_path), "module", "data.yaml"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert checksum("one") == checksum("two")


def test_the_pause_for_iam_can_be_left_out_and_no_other(tmp_path: Path) -> None:
    """Why `LOCAL_IAM_WAIT` is there. When this fails, SeedFarmer's pause has changed."""
    python = seedfarmer_environment() / "bin" / "python"
    done = subprocess.run(
        [str(python), "-P", "-c", PAUSE, str(WITHOUT_IAM_WAIT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "slept 30\n"), done.stderr
