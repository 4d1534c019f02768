"""The `plan` command: what a deploy would copy, and why. It changes nothing."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3

from . import datafiles, plan_report, results
from .aws import Aws
from .charts.sources import ChartSources
from .credentials import run_credentials
from .datafiles import DataFiles
from .oci.credentials import CredentialStore
from .oci.transport import Transport
from .problems import texts
from .proof.program import helm_distro
from .proof.proof import Proof, prove
from .resolve import Resolution, Target, resolve
from .settings import Parameters
from .shared.account import Account
from .shared.errors import ParameterError, UserError
from .shared.settings import ProjectSettings, invalid, read


@dataclass(frozen=True)
class PlanOptions:
    """What the command line says; each wins over the environment, and None leaves it as it is."""

    eks_version: str | None = None
    data_path: Path | None = None
    project: str | None = None
    account: str | None = None
    region: str | None = None


def plan(options: PlanOptions, *, as_json: bool) -> int:
    """Print the plan; the exit status is 1 when there are problems, or images outside.

    Raises:
        ParameterError: parameters are missing or wrong.
        UserError: there are problems, and they are not printed as JSON.
    """
    project, parameters = _settings(options)
    registry = _registry(options)
    try:
        data = datafiles.load(parameters.data_path, parameters.eks_version)
        resolution, proof = asyncio.run(_planned(data, parameters, project, registry))
        results.compact(results.inventory(data, resolution))
    except UserError as error:
        if not as_json:
            raise
        print(json.dumps(plan_report.failed(texts(error)), indent=2))
        return error.exit_status
    if as_json:
        print(json.dumps(plan_report.planned(resolution, proof), indent=2))
    else:
        print(plan_report.readable(resolution, proof))
    return 1 if proof.findings else 0


def _settings(options: PlanOptions) -> tuple[str, Parameters]:
    problems: list[str] = []
    seedfarmer = read(ProjectSettings, problems, **_given(project_name=options.project))
    fields = _given(eks_version=options.eks_version, data_path=options.data_path)
    parameters = read(Parameters, problems, **fields)
    if seedfarmer is None or parameters is None:
        raise invalid(problems)
    return seedfarmer.project_name, parameters


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _registry(options: PlanOptions) -> Account | Aws:
    """The account that is named, or that of the credentials, which can also read the secret."""
    session = boto3.Session(region_name=options.region)
    if options.account:
        if not session.region_name:
            raise ParameterError("no AWS region is configured: say which one with --region")
        return Account.named(session, options.account, session.region_name)
    if session.get_credentials() is None:
        raise ParameterError("there are no AWS credentials: name the registry with --account and --region")
    return Aws.connect(options.region)


async def _planned(
    data: DataFiles, parameters: Parameters, project: str, registry: Account | Aws
) -> tuple[Resolution, Proof]:
    credentials: CredentialStore | None = None
    secrets = None
    if isinstance(registry, Aws):
        credentials = run_credentials(parameters, [data], registry)
        account, secrets = registry.account, registry.secrets
    else:
        account = registry
    async with Transport(endpoints=parameters.endpoints, credentials=credentials) as transport:
        fetched = await ChartSources(transport, parameters.endpoints).fetch(data)
    resolution = resolve(data, fetched, Target(account.ecr_host, project))
    distro = helm_distro(parameters, secrets, None)
    return resolution, await prove(data, resolution, parameters.eks_version, distro, _remark)


def _remark(text: str) -> None:
    """Beside the plan, which programs read."""
    print(text, file=sys.stderr)
