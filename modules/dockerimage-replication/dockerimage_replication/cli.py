"""`python -m dockerimage_replication`: what the deployspec calls, and commands for people."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .consent import Consent
from .shared.edge import run

if TYPE_CHECKING:
    from .locked import LockOptions
    from .shared.endpoints import Endpoints

_Command = Callable[[argparse.Namespace], int]


def main(arguments_given: Sequence[str] | None = None) -> int:
    """Parse a command line (without one, that of the process) and run a command; its exit status."""
    arguments = _parser().parse_args(arguments_given)
    command: _Command = arguments.run
    return run(lambda: command(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dockerimage_replication", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _apply_options(
        commands.add_parser(
            "apply",
            help="replicate the images and charts of the data files, and upload the inventory",
        )
    )
    _destroy_options(
        commands.add_parser(
            "destroy",
            help="release what this deployment uses; with retention-type DESTROY delete what nobody uses",
        )
    )
    _plan_options(commands.add_parser("plan", help="show what `apply` would copy, and why; changes nothing"))
    _lint_options(commands.add_parser("lint", help="check all data files of a folder against their charts"))
    _verify_options(commands.add_parser("verify", help="check that all that was replicated is in place"))
    _drift_options(
        commands.add_parser(
            "drift", aliases=["diff"], help="show what has changed at sources and destination since the lock"
        )
    )
    _copy_options(commands.add_parser("copy", help="copy the images of a list; needs no AWS"))
    _clean_up_options(
        commands.add_parser("delete-images", help="delete the images that no deployment uses"), "images"
    )
    _clean_up_options(
        commands.add_parser("delete-repos", help="delete the repositories that no deployment uses"),
        "repositories",
    )
    _adopt_options(commands.add_parser("adopt", help="take over repositories of the known IDF module"))
    _bundle_options(commands.add_parser("bundle", help="write what `apply` would copy to a disk"))
    _load_options(commands.add_parser("load", help="do what `apply` does, from a bundle"))
    return parser


def _copy_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_copy)
    parser.add_argument("images", type=Path, metavar="LIST", help="JSON as in updated_images.json")
    parser.add_argument(
        "--lock", type=Path, metavar="FILE", help="keep the digests here, and ask no source for them again"
    )
    parser.add_argument(
        "--refresh", action="store_true", help="ask the sources again which digest each tag has"
    )
    parser.add_argument(
        "--registry-endpoints",
        type=_endpoints,
        default="{}",
        metavar="JSON",
        help="as the parameter of the module",
    )
    _json_option(parser)


def _endpoints(text: str) -> "Endpoints":
    from .shared.endpoints import Endpoints

    try:
        return Endpoints.from_json(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _apply_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_apply)
    parser.add_argument(
        "--refresh", action="store_true", help="ask the sources again which digest each tag has"
    )
    _json_option(parser)


def _destroy_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_destroy)
    _json_option(parser)


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_plan)
    _eks_version_option(parser)
    _data_option(parser)
    parser.add_argument("--project", metavar="NAME", help="in place of SEEDFARMER_PROJECT_NAME")
    parser.add_argument("--account", metavar="ID", help="account of the private registry; AWS is not asked")
    parser.add_argument("--region", metavar="NAME", help="its region; the configured one without this")
    _json_option(parser)


def _lint_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_lint)
    _data_option(parser)
    _json_option(parser)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_verify)
    _lock_options(parser)
    _json_option(parser)


def _drift_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_drift)
    _lock_options(parser)
    _json_option(parser)


def _lock_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lock", type=Path, metavar="FILE", help="in place of the lock in the bucket")
    parser.add_argument("--project", metavar="NAME", help="in place of SEEDFARMER_PROJECT_NAME")
    parser.add_argument("--deployment", metavar="NAME", help="in place of SEEDFARMER_DEPLOYMENT_NAME")
    parser.add_argument("--module", metavar="GROUP-NAME", help="in place of SEEDFARMER_MODULE_NAME")
    parser.add_argument("--region", metavar="NAME", help="in place of the configured region")


def _clean_up_options(parser: argparse.ArgumentParser, what: str) -> None:
    parser.set_defaults(run=_clean_up, what=what)
    parser.add_argument("project", help="name of the SeedFarmer project")
    parser.add_argument("--deployment", metavar="NAME", help="release what this deployment uses first")
    _consent_options(parser)


def _adopt_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_adopt)
    parser.add_argument("project", help="name of the SeedFarmer project")
    parser.add_argument(
        "--inventory",
        required=True,
        metavar="FILE|s3://BUCKET/KEY",
        help="the known module's replication_result.json, its uploaded copy, or its updated_images.json",
    )
    _consent_options(parser)


def _consent_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _json_option(parser)


def _bundle_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_bundle)
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder, or a file that ends in .tar")
    _eks_version_option(parser)
    _data_option(parser)
    _json_option(parser)


def _load_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_load)
    parser.add_argument("path", type=Path, metavar="PATH", help="what `bundle` wrote")
    parser.add_argument("--index", metavar="DIGEST", help="refuse a bundle with another digest than this")
    _json_option(parser)


def _eks_version_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--eks-version", metavar="VERSION", help="in place of the parameter `eks-version`")


def _data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-path", type=Path, metavar="DIR", help="in place of the parameter `data-path`")


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _apply(arguments: argparse.Namespace) -> int:
    from .apply import apply  # the HTTP client is slow to load, and `destroy` does without

    return apply(refresh=arguments.refresh, as_json=arguments.json)


def _copy(arguments: argparse.Namespace) -> int:
    from .copy_list import CopyOptions, copy

    options = CopyOptions(
        images=arguments.images,
        lock=arguments.lock,
        refresh=arguments.refresh,
        endpoints=arguments.registry_endpoints,
    )
    return copy(options, as_json=arguments.json)


def _destroy(arguments: argparse.Namespace) -> int:
    from .cleanup import destroy

    return destroy(as_json=arguments.json)


def _plan(arguments: argparse.Namespace) -> int:
    from .plan import PlanOptions, plan

    options = PlanOptions(
        eks_version=arguments.eks_version,
        data_path=arguments.data_path,
        project=arguments.project,
        account=arguments.account,
        region=arguments.region,
    )
    return plan(options, as_json=arguments.json)


def _lint(arguments: argparse.Namespace) -> int:
    from .lint import lint

    return lint(arguments.data_path, as_json=arguments.json)


def _verify(arguments: argparse.Namespace) -> int:
    from .verify import verify

    return verify(_given_lock(arguments), as_json=arguments.json)


def _drift(arguments: argparse.Namespace) -> int:
    from .drift import drift

    return drift(_given_lock(arguments), as_json=arguments.json)


def _given_lock(arguments: argparse.Namespace) -> "LockOptions":
    from .locked import LockOptions

    return LockOptions(
        file=arguments.lock,
        project=arguments.project,
        deployment=arguments.deployment,
        module=arguments.module,
        region=arguments.region,
    )


def _clean_up(arguments: argparse.Namespace) -> int:
    from .cleanup_command import clean_up

    consent = Consent.of(arguments)
    return clean_up(arguments.what, arguments.project, arguments.deployment, consent)


def _adopt(arguments: argparse.Namespace) -> int:
    from .adopt import adopt

    return adopt(arguments.project, arguments.inventory, Consent.of(arguments))


def _bundle(arguments: argparse.Namespace) -> int:
    from .bundle import BundleOptions, bundle

    options = BundleOptions(eks_version=arguments.eks_version, data_path=arguments.data_path)
    return bundle(arguments.out, options, as_json=arguments.json)


def _load(arguments: argparse.Namespace) -> int:
    from .load import load

    return load(arguments.path, index=arguments.index, as_json=arguments.json)
