"""The `lint` command: all data files of a folder against the charts that they name, in one pass."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from . import datafiles
from .aws import Aws
from .charts.fetched import FetchResult
from .charts.sources import ChartSources
from .credentials import run_credentials
from .datafiles import DataFiles
from .findings import Finding, finding, readable
from .names import split_reference
from .oci.credentials import CredentialStore
from .oci.transport import Transport
from .problems import DataFilesError, Problem
from .resolve import Image, Reason, Target, examine
from .settings import ANY_VERSION, Parameters, is_eks_version
from .shared.errors import ParameterError
from .shared.settings import invalid, read

# Names in the private registry do not matter here, only whether there can be any.
_TARGET = Target("registry", "project")


def lint(data_path: Path | None, *, as_json: bool) -> int:
    """Print every finding; the exit status is 1 when there are some.

    Raises:
        ParameterError: parameters are wrong, or the folder has no data files.
    """
    parameters = _parameters(data_path)
    findings = asyncio.run(_findings(parameters))
    if as_json:
        print(json.dumps([asdict(item) for item in findings], indent=2))
    else:
        print("\n".join(readable(findings)) or "the data files fit their charts")
    return 1 if findings else 0


def _parameters(data_path: Path | None) -> Parameters:
    problems: list[str] = []
    given = {} if data_path is None else {"data_path": data_path}
    parameters = read(Parameters, problems, eks_version=ANY_VERSION, **given)
    if parameters is None:
        raise invalid(problems)
    if not datafiles.versions(parameters.data_path):
        raise ParameterError(
            f"{parameters.data_path} holds no version file: name the folder of the data files with "
            "--data-path"
        )
    return parameters


async def _findings(parameters: Parameters) -> list[Finding]:
    findings: list[Finding] = []
    checked = _read(parameters.data_path, findings)
    endpoints = parameters.endpoints
    credentials = _credentials(parameters, list(checked.values()))
    async with Transport(endpoints=endpoints, credentials=credentials) as transport:
        sources = ChartSources(transport, endpoints)
        charts = await asyncio.gather(*(sources.fetch(data) for data in checked.values()))
    for (version, data), fetched in zip(checked.items(), charts, strict=True):
        findings += (finding(problem, version) for problem in _problems(data, fetched))
    return findings


def _read(folder: Path, findings: list[Finding]) -> dict[str, DataFiles]:
    """The data files of each version that can be read; what is wrong is added to the findings."""
    default = None
    try:
        default = datafiles.read_default(folder)
    except DataFilesError as error:
        findings += (finding(problem, None) for problem in error.problems)
    usable = {}
    for name in datafiles.versions(folder):
        if not is_eks_version(name):
            text = f"`{name}` is no EKS version, so no deployment reads this file"
            findings.append(finding(Problem(f"{name}.yaml", "", text), name))
        try:
            version = datafiles.read_version(folder, name)
        except DataFilesError as error:
            findings += (finding(problem, name) for problem in error.problems)
            continue
        if default:
            usable[name], problems = datafiles.combined(default, version, name)
            findings += (finding(problem, name) for problem in problems)
    return usable


def _credentials(parameters: Parameters, data: list[DataFiles]) -> CredentialStore | None:
    """Those of a deploy if the charts need a secret; AWS is asked for nothing otherwise."""
    if parameters.helm_repo_secret_name is None:
        return None
    return run_credentials(parameters, data, Aws.connect())


def _problems(data: DataFiles, fetched: Mapping[str, FetchResult]) -> Iterator[Problem]:
    resolution, problems = examine(data, fetched, _TARGET)
    yield from problems
    for image in resolution.images:
        if not split_reference(image.source)[1]:
            yield from (_without_tag(image, reason, data) for reason in image.reasons)


def _without_tag(image: Image, reason: Reason, data: DataFiles) -> Problem:
    text = f"`{image.source}` has no tag, so `latest` would be copied"
    if reason.workload is None:
        file = data.additional_files[reason.image]
        return Problem(file, f"additional_images.{reason.image}", text, image=reason.image)
    workload = next(workload for workload in data.workloads if workload.key == reason.workload)
    file = next(spec.file for spec in workload.images if spec.key == reason.image)
    place = f"charts.{reason.workload}.images.{reason.image}"
    return Problem(file, place, text, reason.workload, reason.image)
