"""The module that installs the charts takes what a run uploads."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerimage_replication import datafiles, results
from dockerimage_replication.charts.archive import read_chart
from dockerimage_replication.charts.fetched import FetchedChart
from dockerimage_replication.datafiles import DataFiles
from dockerimage_replication.resolve import Resolution, Target, resolve
from dockerimage_replication.schema import DefaultFile, VersionFile
from eks_consumer import MAX_VARIABLE, Consumer, Release, appended
from production_charts import DATA, fetched
from replication_support import CHART_LAYER, ECR_HOST, World, chart_files, packed

OWN = {"tolerations": [{"key": "own"}], "image": {"pullPolicy": "Always"}, "clusterName": "prod"}

TEMPLATE = """
kind: Pod
metadata: {name: x}
spec:
  containers:
  - name: x
    image: {{ .Values.image.registry }}/{{ .Values.image.repository }}:v{{ .Chart.AppVersion }}
  tolerations: {{ toJson .Values.tolerations }}
"""


@pytest.fixture(scope="module", params=datafiles.versions(DATA))
def data(request: pytest.FixtureRequest) -> DataFiles:
    """The data files of the repository, for each EKS version."""
    return datafiles.load(DATA, request.param)


@pytest.fixture(scope="module")
def resolution(data: DataFiles) -> Resolution:
    """What they replicate, in a project and a region with long names."""
    target = Target("123456789012.dkr.ecr.ap-southeast-2.amazonaws.com", "a-project-with-a-long-name-36")
    return resolve(data, fetched(data), target)


@pytest.fixture(scope="module")
def uploaded(data: DataFiles, resolution: Resolution) -> bytes:
    return results.compact(results.inventory(data, resolution))


def lists(tree: object, path: str = "") -> list[str]:
    """The paths of all lists in a tree."""
    if isinstance(tree, list):
        return [path]
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in lists(value, f"{path}.{key}")]
    return []


def rendered(helm: Path, folder: Path, archive: bytes, release: Release) -> list[dict[str, Any]]:
    """What the cluster gets."""
    (folder / "chart.tgz").write_bytes(archive)
    (folder / "values.json").write_text(json.dumps(release.values))
    done = subprocess.run(
        [helm, "template", "release", folder / "chart.tgz", "--values", folder / "values.json"],
        env={"HOME": str(folder)},
        capture_output=True,
        check=True,
    )
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_a_cluster_gets_the_chart_and_its_images_from_where_the_run_has_put_them(
    world: World, helm: Path, tmp_path: Path
) -> None:
    world.publish_template(TEMPLATE)
    world.default["charts"]["app"]["values"] = {"replicas": 2}
    world.default["charts"]["app"]["render_values"] = {"tolerations": [{"key": "any"}]}

    world.apply()

    outputs = json.loads(Path("module-outputs.json").read_text())
    bucket, _, key = outputs["S3FullPath"].partition("/")
    body: bytes = world.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    consumer = Consumer(body)
    release = consumer.release("app", OWN)
    assert release.values["replicas"] == 2
    repository = release.address.removeprefix(f"oci://{ECR_HOST}/")
    (layer,) = world.destination.manifest(repository, release.version.replace("+", "_"))["layers"]
    assert layer["mediaType"] == CHART_LAYER
    (pod,) = rendered(helm, tmp_path, world.destination.blob(repository, layer["digest"]), release)
    (container,) = pod["spec"]["containers"]
    private = json.loads(body)["images"].values()
    assert container["image"] in private
    assert consumer.image("agent") in private
    for image in private:
        name, _, tag = image.removeprefix(f"{ECR_HOST}/").rpartition(":")
        assert world.destination.digest(name, tag)
    assert pod["spec"]["tolerations"] == OWN["tolerations"]


def test_the_full_data_set_fits_into_one_environment_variable(
    resolution: Resolution, uploaded: bytes
) -> None:
    print(
        f"the inventory of {len(resolution.charts)} charts and {len(resolution.images)} images has "
        f"{len(uploaded)} bytes of {MAX_VARIABLE}"
    )
    assert len(resolution.charts) >= 18
    Consumer(uploaded)


def test_no_value_is_a_list_which_would_be_appended(uploaded: bytes) -> None:
    for workload, chart in json.loads(uploaded)["charts"].items():
        assert lists(chart["values"]) == [], workload


def test_every_workload_can_be_installed(resolution: Resolution, uploaded: bytes) -> None:
    consumer = Consumer(uploaded)
    for chart in resolution.charts:
        release = consumer.release(chart.workload.key, OWN)

        assert release.address == f"oci://{chart.host}/{chart.repository}"
        assert release.values["tolerations"] == OWN["tolerations"]
        assert release.values["clusterName"] == "prod"


def test_the_images_that_calicos_operator_composes_are_there() -> None:
    """It appends the names it knows to the registry that the module hands on from `tigeraOperator`."""
    names = ["calico/node", "calico/cni", "calico/typha", "tigera/operator"]
    values = {"tigeraOperator": {"registry": "quay.io", "version": "v1"}, "installation": {"registry": ""}}
    files = chart_files("tigera-operator", "3.30.0", values=values, appVersion="v3.30.0")
    tag = {"location": "chart", "path": "appVersion"}
    registry = {"location": "values", "path": "tigeraOperator.registry"}
    images = {name: {"registry": registry, "repository": {"name": name}, "tag": tag} for name in names}

    chart = {"name": "tigera-operator", "repository": "https://docs.tigera.io/calico/charts"}
    entry = {"charts": {"calico": {**chart, "version": "3.30.0", "images": images}}}
    data, _ = datafiles.combined(DefaultFile.model_validate(entry), VersionFile(), "1.33")
    archive = packed(files)
    chart_of = {"calico": FetchedChart(read_chart(archive), archive)}
    resolution = resolve(data, chart_of, Target(ECR_HOST, "idf"))
    inventory = json.loads(results.compact(results.inventory(data, resolution)))

    release = Consumer(json.dumps(inventory).encode()).release("calico", {"installation": {"x": 1}})
    registry_of_images = release.values["installation"]["registry"]
    assert registry_of_images == f"{ECR_HOST}/idf-quay.io"
    copies = inventory["images"].values()
    assert {f"{registry_of_images}/{name}:v3.30.0" for name in names} == set(copies)


def test_the_model_appends_lists_and_lets_the_inventory_win() -> None:
    assert appended({"a": [1], "b": {"c": 1, "d": 2}, "e": 1}, {"a": [2], "b": {"c": 3}, "e": {}}) == {
        "a": [1, 2],
        "b": {"c": 3, "d": 2},
        "e": {},
    }
