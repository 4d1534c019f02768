"""The proof: real charts, rendered by real helms, name private images only."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from dockerimage_replication.problems import DataFilesError
from dockerimage_replication.proof import process, render
from dockerimage_replication.proof.process import HelmError, run_helm
from dockerimage_replication.proof.program import helm_at_hand
from dockerimage_replication.proof.proof import SKIPPED, Proof, prove, require_proof
from dockerimage_replication.shared.errors import UserError
from proof_support import PRIVATE, VALUES, data_files, manifest, pod, resolved, templated
from replication_support import ECR_HOST, chart_files

OTHER = "ghcr.io/elsewhere/tool:v9"


async def proven(
    templates: dict[str, str],
    workload: Mapping[str, object] = MappingProxyType({}),
    values: Mapping[str, object] = VALUES,
) -> Proof:
    data = data_files(**workload)
    resolution = resolved(data, templated(templates, values=values))
    return await prove(data, resolution, "1.33", None, lambda line: None)


def outside(proof: Proof) -> list[tuple[str, list[str]]]:
    return [(image.text, [place.where for place in image.places]) for image in proof.findings]


async def test_a_chart_whose_images_are_all_listed_is_proven(helm: Path) -> None:
    proof = await proven({"pod.yaml": pod()})

    assert proof.findings == ()
    assert [(image.text, image.problem) for image in proof.images] == [(PRIVATE, None)]
    assert proof.helm is not None
    assert proof.helm.version.removeprefix("v") == helm.parent.name


@pytest.mark.parametrize(
    ("template", "where"),
    [
        (pod(initContainers=[{"name": "i", "image": OTHER}]), "Pod/x spec.initContainers[0].image"),
        (
            manifest("CronJob", spec={"jobTemplate": {"spec": {"containers": [{"image": OTHER}]}}}),
            "CronJob/x spec.jobTemplate.spec.containers[0].image",
        ),
        (manifest("Prometheus", spec={"image": OTHER}), "Prometheus/x spec.image"),
        (manifest("Kit", spec={"sidecarImage": OTHER}), "Kit/x spec.sidecarImage"),
        (
            manifest("Kit", a={"registry": "ghcr.io", "repository": "elsewhere/tool", "tag": "v9"}),
            "Kit/x a.repository",
        ),
        (
            pod(ephemeralContainers=[{"image": PRIVATE, "args": [f"--config-reloader-image={OTHER}"]}]),
            "Pod/x spec.ephemeralContainers[0].args[0]",
        ),
        (
            manifest("Deployment", spec={"env": [{"name": "RELATED_IMAGE_TOOL", "value": OTHER}]}),
            "Deployment/x spec.env[0].value",
        ),
        (
            manifest("ConfigMap", data={"tool.yaml": f"tool:\n  image: {OTHER}\n"}),
            "ConfigMap/x data[tool.yaml].tool.image",
        ),
        (
            manifest("ConfigMap", data={"tool.json": json.dumps({"image": OTHER})}),
            "ConfigMap/x data[tool.json].image",
        ),
        ("# a comment\n" + manifest("Thing", spec={"note": f"{{{{ \"{OTHER}\" }}}}"}), "Thing/x spec.note"),
    ],
)  # fmt: skip
async def test_an_image_elsewhere_is_found_wherever_it_stands(
    newest_helm: Path, template: str, where: str
) -> None:
    proof = await proven({"x.yaml": template, "pod.yaml": pod()})

    assert outside(proof) == [(OTHER, [where])]


async def test_annotations_hooks_and_crds_count_too(helm: Path) -> None:
    hook = f"""
apiVersion: batch/v1
kind: Job
metadata:
  name: clean
  annotations:
    helm.sh/hook: pre-delete
    sidecar.example/inject: '{{"image": "{OTHER}"}}'
spec: {{template: {{spec: {{containers: [{{name: x, image: "{OTHER}"}}]}}}}}}
"""
    crd = manifest(
        "CustomResourceDefinition",
        spec={"description": f"for instance {OTHER}", "image": {"type": "string", "default": OTHER}},
    )

    proof = await proven({"hook.yaml": hook, "crds/crd.yaml": crd})

    assert outside(proof) == [
        (
            OTHER,
            [
                "CustomResourceDefinition/x spec.image.default",
                "Job/clean metadata.annotations[sidecar.example/inject].image",
                "Job/clean spec.template.spec.containers[0].image",
            ],
        )
    ]


async def test_a_subchart_is_rendered_with_its_values(helm: Path) -> None:
    files = chart_files("cache", "0.1.0", values={"image": {"repository": "library/redis", "tag": "7.2"}})
    template = pod("docker.io/{{ .Values.image.repository }}:{{ .Values.image.tag }}")
    subchart = {f"charts/{path}": content.decode() for path, content in files.items()}

    proof = await proven({"pod.yaml": pod(), **subchart, "charts/cache/templates/pod.yaml": template})

    assert [text for text, _ in outside(proof)] == ["docker.io/library/redis:7.2"]


async def test_values_that_make_the_image_private_are_those_of_the_inventory(helm: Path) -> None:
    """A template that does not use the value that the data file names keeps the public image."""
    proof = await proven({"pod.yaml": pod("quay.io/team/app:{{ .Values.image.tag }}")})

    assert outside(proof) == [("quay.io/team/app:v1", ["Pod/x spec.containers[0].image"])]


async def test_a_private_name_that_the_run_does_not_fill_is_found(newest_helm: Path) -> None:
    proof = await proven({"pod.yaml": pod("{{ .Values.image.registry }}/team/other:v1")})

    (image,) = proof.findings
    assert image.text == f"{ECR_HOST}/idf-quay.io/team/other:v1"
    assert image.problem == "is not among the images that this run puts there"


async def test_a_digest_that_nobody_removed_is_found(newest_helm: Path) -> None:
    digest = f"sha256:{'a' * 64}"
    proof = await proven({"pod.yaml": pod(f"{{{{ .Values.image.registry }}}}/team/app:v1@{digest}")})

    (image,) = proof.findings
    assert image.problem == "pins a digest that the data files do not name: `remove` it"


async def test_an_image_that_is_none_is_found(newest_helm: Path) -> None:
    proof = await proven({"pod.yaml": pod("{{ .Values.image.registry }}/:v1")})

    assert [image.problem for image in proof.findings] == ["is not an image reference"]


@pytest.mark.parametrize("entry", [OTHER, OTHER.partition(":")[0]])
async def test_the_data_files_can_accept_an_image_with_or_without_its_tag(
    newest_helm: Path, entry: str
) -> None:
    accepted = {"accepted_images": {entry: "runs in tests only"}}
    proof = await proven({"pod.yaml": pod(OTHER)}, accepted)

    assert proof.findings == ()
    assert proof.warnings == ()
    assert [image.accepted for image in proof.images] == ["runs in tests only"]


async def test_another_tag_is_not_accepted_and_the_entry_is_a_warning(newest_helm: Path) -> None:
    accepted = {"accepted_images": {"ghcr.io/elsewhere/tool:v8": "runs in tests only"}}
    proof = await proven({"pod.yaml": pod(OTHER)}, accepted)

    assert [image.text for image in proof.findings] == [OTHER]
    assert "`ghcr.io/elsewhere/tool:v8` matches nothing" in proof.warnings[0]


async def test_what_the_installer_sets_is_set_for_the_proof_and_stays_out_of_the_inventory(
    newest_helm: Path,
) -> None:
    required = pod() + '\n# {{ required "clusterName is required" .Values.clusterName }}'
    with pytest.raises(DataFilesError, match="clusterName is required") as error:
        await proven({"pod.yaml": required})
    assert "`render_values`" in str(error.value)

    workload = {"render_values": {"clusterName": "any", "list": [1]}}
    proof = await proven({"pod.yaml": required}, workload)

    assert proof.findings == ()
    (chart,) = resolved(data_files(**workload), templated({})).charts
    assert "clusterName" not in chart.values


async def test_a_chart_can_ask_for_the_version_and_the_apis_of_the_cluster(helm: Path) -> None:
    gated = """
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" }}
{{- if eq .Capabilities.KubeVersion.Minor "33" }}
kind: ServiceMonitor
metadata: {name: x}
spec: {image: ghcr.io/elsewhere/tool:v9}
{{- end }}{{- end }}
"""
    assert [text for text, _ in outside(await proven({"x.yaml": gated}))] == [OTHER]


async def test_helms_own_message_says_why_a_chart_cannot_be_rendered(helm: Path) -> None:
    with pytest.raises(DataFilesError) as error:
        await proven({"x.yaml": '{{ fail "the moon is full" }}'})

    assert "charts.app: chart app 1.0.0 cannot be rendered: " in str(error.value)
    assert "the moon is full" in str(error.value)


async def test_no_chart_gets_at_the_network(helm: Path) -> None:
    """helm would fetch what a schema refers to; it is sent where nobody listens."""
    schema = json.dumps({"properties": {"image": {"$ref": "http://schemas.example/image.json"}}})

    with pytest.raises(DataFilesError, match=r"proxyconnect tcp: dial tcp 127\.0\.0\.1:9"):
        await proven({"values.schema.json": schema})


async def test_helm_sees_nothing_of_the_builds_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_SECRET", "canary")
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\n/usr/bin/env\n")
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()

    said = (await run_helm(program, [], home)).decode()

    variables = dict(line.split("=", 1) for line in said.splitlines())
    assert "canary" not in said
    assert "AWS_ACCESS_KEY_ID" not in variables
    mine = {name for name in variables if variables[name].startswith(str(home))} - {"PWD"}
    shell = {"PWD", "OLDPWD", "SHLVL", "_", "PATH"}
    assert set(variables) - shell == mine | {"HTTP_PROXY", "HTTPS_PROXY"}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("while :; do :; done", "did not end within"),
        ("while :; do echo xxxxxxxxxxxxxxxxxxxx; done", "printed more than"),
        ("exit 3", "helm ended with status 3"),
        ("echo 'Error: no' >&2; exit 1", "^no$"),
    ],
)
async def test_a_helm_that_does_not_behave_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr(process, "TIME_LIMIT", 0.5)
    monkeypatch.setattr(process, "MAX_OUTPUT", 1000)
    program = tmp_path / "helm"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
    program.chmod(0o755)

    with pytest.raises(HelmError, match=said):
        await run_helm(program, [], tmp_path)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_calicos_operator_gets_the_registry_that_the_installer_hands_on(newest_helm: Path) -> None:
    installation = """
apiVersion: operator.tigera.io/v1
kind: Installation
metadata: {name: default}
spec:
  registry: {{ .Values.installation.registry }}
"""
    operator = pod("{{ .Values.tigeraOperator.registry }}/tigera/operator:v1")
    image = {
        "registry": {"location": "values", "path": "tigeraOperator.registry"},
        "repository": {"name": "tigera/operator"},
    }
    tag = {"tag": {"location": "values", "path": "tigeraOperator.version"}}
    values = {"tigeraOperator": {"registry": "quay.io", "version": "v1"}, "installation": {"registry": ""}}
    templates = {"installation.yaml": installation, "operator.yaml": operator}

    assert (await proven(templates, {"images": {"o": {**image, **tag}}}, values=values)).findings == ()

    unlisted = await proven(templates, {"images": {}}, values=values)
    assert [text for text, _ in outside(unlisted)] == [
        "quay.io/tigera/operator:v1",
        "the operator's default registry",
    ]


async def test_without_helm_the_log_says_what_to_set() -> None:
    said: list[str] = []
    data = data_files()

    proof = await require_proof(data, resolved(data, templated({})), "1.33", None, said.append)

    assert said == [SKIPPED]
    assert "`helm-distro-url`" in SKIPPED
    assert (proof.skipped, proof.helm) == (SKIPPED, None)


async def test_a_run_fails_with_every_image_its_places_and_the_reason(newest_helm: Path) -> None:
    data = data_files()
    resolution = resolved(data, templated({"a.yaml": pod(OTHER), "b.yaml": pod("busybox")}))

    with pytest.raises(UserError) as error:
        await require_proof(data, resolution, "1.33", None, lambda line: None)

    message = str(error.value)
    assert f"charts.app: `{OTHER}` is outside the private registry" in message
    assert "charts.app: `busybox` is outside the private registry" in message
    assert "Pod/x spec.containers[0].image, it is the image of a container" in message
    assert "`accepted_images`" in message


async def test_charts_are_rendered_a_few_at_a_time(
    newest_helm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = 0, 0

    async def counted(program: Path, arguments: list[str], home: Path) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        output = await run_helm(program, arguments, home)
        running -= 1
        return output

    monkeypatch.setattr(render, "run_helm", counted)
    data = data_files()
    (chart,) = resolved(data, templated({"pod.yaml": pod()})).charts
    async with helm_at_hand(None, lambda line: None) as helm:
        assert helm is not None
        await render.render(helm, [chart] * 9, "1.33")

    assert most == render.CONCURRENCY
