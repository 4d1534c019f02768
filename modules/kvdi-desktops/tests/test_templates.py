"""Templates: what kVDI's definitions accept, and what each image needs of its manager."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kvdi_desktops import catalogue
from kvdi_desktops.catalogue import Catalogue
from kvdi_desktops.rendering import main
from kvdi_support import write_catalogue

CRDS = Path(__file__).parent / "crds"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/airgap-kvdi-desktops"
DIGEST = f"sha256:{'a' * 64}"
FILES = {"2020": "desktoptemplates.kvdi.io.yaml", "2021": "templates.desktops.kvdi.io.yaml"}
ENVIRONMENT = {"2020": "config", "2021": "desktop"}
generations = pytest.mark.parametrize("generation", ["2020", "2021"])


@pytest.fixture
def uris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Every image of a small catalogue, as if all had been published."""
    write_catalogue(tmp_path / "images")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "images")
    return {name: f"{REGISTRY}/{name}@{DIGEST}" for name in Catalogue.load(catalogue.FOLDER).images}


@pytest.fixture
def outputs(tmp_path: Path, uris: dict[str, str]) -> str:
    """The module's outputs as `seedfarmer list moduledata` prints them."""
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({"DesktopImageUris": "{}", "DesktopImageDigestUris": json.dumps(uris)}))
    return str(file)


def rendered(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(arguments) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def schema(generation: str) -> dict[str, Any]:
    """The definition's schema, strict: kVDI's API server drops an unknown field without a word."""
    definition = yaml.safe_load((CRDS / FILES[generation]).read_text())
    (version,) = definition["spec"]["versions"]
    strict: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    strict["properties"]["metadata"]["properties"] = {"name": {"type": "string"}}
    _close(strict)
    return strict


def _close(node: dict[str, Any]) -> None:
    if "properties" in node:
        node["additionalProperties"] = False
    children = list(node.get("properties", {}).values())
    for child in children + ([node["items"]] if "items" in node else []):
        _close(child)


@generations
@pytest.mark.parametrize("everything", [False, True])
def test_every_template_is_what_the_definition_accepts(
    capsys: pytest.CaptureFixture[str], outputs: str, uris: dict[str, str], generation: str, everything: bool
) -> None:
    common = [
        "--socket",
        "tcp://127.0.0.1:5900",
        "--proxy-image",
        "proxy:1",
        "--pull-secret",
        "s",
        "--allow-root",
    ]
    own = {
        "2020": ["--service-account", "a"],
        "2021": ["--allow-file-transfer", "--dind-image", "docker:dind"],
    }
    options = [*common, *own[generation]] if everything else []

    found = rendered(capsys, "--outputs", outputs, "--generation", generation, *options)

    assert [item["metadata"]["name"] for item in found] == list(uris)
    definition = yaml.safe_load((CRDS / FILES[generation]).read_text())["spec"]
    version = f"{definition['group']}/{definition['versions'][0]['name']}"
    for item in found:
        jsonschema.validate(item, schema(generation))
        assert (item["apiVersion"], item["kind"]) == (version, definition["names"]["kind"])


@generations
def test_a_template_names_its_image_by_digest(
    capsys: pytest.CaptureFixture[str], outputs: str, uris: dict[str, str], generation: str
) -> None:
    for item in rendered(capsys, "--outputs", outputs, "--generation", generation):
        spec = item["spec"]
        image = spec["image"] if generation == "2020" else spec["desktop"]["image"]
        assert image == uris[item["metadata"]["name"]]


@generations
@pytest.mark.parametrize(
    ("image", "init", "capabilities"),
    [
        ("debian-supervisord-base", "supervisord", None),
        ("debian-systemd-base", "systemd", ["SYS_ADMIN"]),
    ],
)
def test_a_family_has_its_init_and_its_capabilities(
    capsys: pytest.CaptureFixture[str],
    outputs: str,
    generation: str,
    image: str,
    init: str,
    capabilities: list[str] | None,
) -> None:
    (item,) = rendered(capsys, "--outputs", outputs, "--generation", generation, "--image", image)

    launched = item["spec"][ENVIRONMENT[generation]]
    assert launched["init"] == init  # always there: the generations' defaults differ
    assert launched.get("capabilities") == capabilities


def test_socket_and_sound_of_2020(capsys: pytest.CaptureFixture[str], outputs: str) -> None:
    (item,) = rendered(
        capsys, "--outputs", outputs, "--generation", "2020", "--image", "debian-supervisord-base"
    )

    assert item["spec"]["config"]["socketAddr"] == "unix:///var/run/kvdi/vnc.sock"
    assert item["spec"]["config"]["enableSound"] is True


def test_socket_and_sound_of_2021(capsys: pytest.CaptureFixture[str], outputs: str) -> None:
    (item,) = rendered(
        capsys, "--outputs", outputs, "--generation", "2021", "--image", "debian-supervisord-base"
    )

    assert item["spec"]["proxy"]["socketAddr"] == "unix:///var/run/kvdi/display.sock"
    assert item["spec"]["proxy"]["pulseServer"] == "unix:///run/user/9000/pulse/native"


def test_a_port_is_told_to_the_desktop_of_2021_which_its_manager_tells_sockets_only(
    capsys: pytest.CaptureFixture[str], outputs: str
) -> None:
    for item in rendered(
        capsys, "--outputs", outputs, "--generation", "2021", "--socket", "tcp://127.0.0.1:5900"
    ):
        assert item["spec"]["proxy"]["socketAddr"] == "tcp://127.0.0.1:5900"
        assert item["spec"]["desktop"]["env"] == [
            {"name": "DISPLAY_SOCK_ADDR", "value": "tcp://127.0.0.1:5900"}
        ]


def test_variables_of_the_desktop_stand_in_its_template(
    capsys: pytest.CaptureFixture[str], outputs: str
) -> None:
    german = ["--env", "LANG=de_DE.UTF-8", "--env", "KEYBOARD_LAYOUT=de=x"]

    for item in rendered(capsys, "--outputs", outputs, "--generation", "2021", *german):
        assert item["spec"]["desktop"]["env"] == [
            {"name": "LANG", "value": "de_DE.UTF-8"},
            {"name": "KEYBOARD_LAYOUT", "value": "de=x"},
        ]


@generations
def test_nobody_is_root_unless_asked_for(
    capsys: pytest.CaptureFixture[str], outputs: str, generation: str
) -> None:
    for item in rendered(capsys, "--outputs", outputs, "--generation", generation):
        assert item["spec"][ENVIRONMENT[generation]]["allowRoot"] is False


@pytest.mark.parametrize("nested", [True, False])
def test_outputs_are_read_from_standard_input_in_every_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, uris: dict[str, str], nested: bool
) -> None:
    given: dict[str, Any] = {"DesktopImageDigestUris": uris} if nested else uris
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(given)))

    assert len(rendered(capsys, "--outputs", "-", "--generation", "2021")) == len(uris)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "does not hold the output DesktopImageDigestUris"),
        ("[]", "does not hold the output DesktopImageDigestUris"),
        ('{"a": 1}', "does not hold the output DesktopImageDigestUris"),
        ('{"DesktopImageDigestUris": "{}"}', "names no image"),
        ('{"DesktopImageDigestUris": {"gone": "x@y"}}', "`gone` is in the outputs"),
    ],
)
def test_outputs_that_are_none_end_in_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "outputs.json").write_text(content)

    assert main(["--outputs", str(tmp_path / "outputs.json"), "--generation", "2021"]) == 2

    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--generation", "2021", "--image", "debian-systemd-bose"],
            "there is no image `debian-systemd-bose`",
        ),
        (["--generation", "2021", "--socket", "/run/x.sock"], "--socket must be"),
        (["--generation", "2021", "--env", "LANG"], "--env must be NAME=VALUE, not 'LANG'"),
        (["--generation", "2021", "--env", "1A=x"], "--env must be NAME=VALUE, not '1A=x'"),
        (["--generation", "2021", "--env", "HOME=/root"], "--env HOME: the manager sets it itself"),
        (["--generation", "2020", "--env", "LANG=x"], "--env: templates of 2020 have no such field"),
        (["--generation", "2021", "--service-account", "a"], "--service-account: templates of 2021"),
        (["--generation", "2020", "--dind-image", "a"], "--dind-image: templates of 2020"),
        (["--generation", "2020", "--allow-file-transfer"], "--allow-file-transfer: templates of 2020"),
    ],
)
def test_an_argument_that_cannot_work_is_named(
    capsys: pytest.CaptureFixture[str], outputs: str, arguments: list[str], message: str
) -> None:
    assert main(["--outputs", outputs, *arguments]) == 2

    assert message in capsys.readouterr().err


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--outputs", "/nowhere/outputs.json", "--generation", "2021"]) == 2

    assert "/nowhere/outputs.json cannot be read" in capsys.readouterr().err
