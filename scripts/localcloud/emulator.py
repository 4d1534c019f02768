"""The AWS emulator on loopback, and the bootstrap stacks in it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config

from . import commands
from .layout import REGION, Layout
from .progress import Progress
from .services import Services, answers
from .tools import Tools

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

SERVICE = "emulator"
BOOTSTRAP_STACK = "CDKToolkit"


def ensure_emulator(layout: Layout, tools: Tools, services: Services, progress: Progress) -> None:
    """Start the emulator unless it runs, and bootstrap the CDK in it unless that is done."""
    _start(layout, tools, services, progress)
    if not _is_bootstrapped(layout):
        with progress.step("bootstrapping the CDK"):
            _bootstrap(layout, tools)


def aws_environment(layout: Layout) -> dict[str, str]:
    """Variables by which every AWS client talks to the emulator and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": layout.emulator_url,
        # The emulator takes the account from a key of 12 digits.
        "AWS_ACCESS_KEY_ID": layout.account,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def clean_environment(layout: Layout) -> dict[str, str]:
    """The user's environment without what would lead AWS clients elsewhere, and with loopback unproxied."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") or name == "AWS_CA_BUNDLE"
    }
    return {**kept, **without_proxy(), **aws_environment(layout)}


def without_proxy() -> dict[str, str]:
    """The user's exceptions from proxies, with loopback among them."""
    loopback = "127.0.0.1,localhost"
    return {
        name: f"{os.environ[name]},{loopback}" if os.environ.get(name) else loopback
        for name in ("no_proxy", "NO_PROXY")
    }


def cdk_environment(layout: Layout) -> dict[str, str]:
    """Variables that keep the CDK quiet and its files in the state folder."""
    return {
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_HOME": str(layout.state / "cdk-home"),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(layout.state / "jsii-cache"),
    }


def client(layout: Layout, service: str) -> Any:  # noqa: ANN401
    """A boto3 client of the emulator; `Any`, because the type depends on the service's name."""
    # Not boto3's default session: it would read AWS_PROFILE of the user.
    core = botocore.session.Session(profile=None, session_vars={"profile": (None, None, None, None)})
    return boto3.Session(botocore_session=core).client(
        service,  # type: ignore[call-overload]
        endpoint_url=layout.emulator_url,
        aws_access_key_id=layout.account,
        aws_secret_access_key="local",  # noqa: S106  the emulator checks none
        region_name=REGION,
        config=Config(retries={"max_attempts": 2}, connect_timeout=5, proxies={}),
    )


def _start(layout: Layout, tools: Tools, services: Services, progress: Progress) -> None:
    if services.find(SERVICE):
        return
    if services.has_ended(SERVICE):
        log = services.logs / f"{SERVICE}.log"
        progress.say(
            f"the AWS emulator has ended (log: {log}); what was deployed in it is gone and deployed again"
        )
    folder = layout.state / "emulator"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # would listen on another address
        "GATEWAY_PORT": str(layout.emulator_port),
        "MINISTACK_ACCOUNT_ID": layout.account,
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "DOCKER_HOST": f"unix://{folder}/none",  # it must not touch the machine's containers
        "LOG_LEVEL": "WARNING",
    }
    with progress.step("starting the AWS emulator"):
        services.ensure(
            SERVICE,
            [str(tools.emulator)],
            environment,
            layout.emulator_url,
            answers(layout.emulator_port, "/_ministack/health"),
            layout.emulator_port,
        )


def _is_bootstrapped(layout: Layout) -> bool:
    cloudformation: CloudFormationClient = client(layout, "cloudformation")
    try:
        stacks = cloudformation.describe_stacks(StackName=BOOTSTRAP_STACK)["Stacks"]
    except cloudformation.exceptions.ClientError:
        return False
    return stacks[0]["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def _bootstrap(layout: Layout, tools: Tools) -> None:
    path = f"{tools.node_bin}:{os.environ['PATH']}"
    environment = {**clean_environment(layout), **cdk_environment(layout), "PATH": path}
    work = layout.state / "bootstrap"
    work.mkdir(parents=True, exist_ok=True)
    commands.run(
        [str(tools.cdk), "bootstrap", f"aws://{layout.account}/{REGION}", "--no-notices", "--ci"],
        environment,
        Path(work),
    )
