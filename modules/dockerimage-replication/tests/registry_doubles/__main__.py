"""`python -m registry_doubles`: one proxy in a process of its own, for benchmarks.

It prints its address as one line of JSON and runs until its standard input ends or it is terminated.
Its statistics are at /_doubles on the same port (GET; DELETE begins anew).
"""

import argparse
import contextlib
import json
import signal
import sys

from .delay import delay
from .exchange import Rule
from .faults import FaultPlan, FaultRule
from .proxy import Proxy


def main() -> int:
    """Run one proxy."""
    options = _parser().parse_args()
    rules: list[Rule] = []
    if options.delay:
        rules.append(delay(options.delay))
    if options.fault_seed is not None:
        plan = FaultPlan(options.fault_seed, options.fault_share)
        rules.append(FaultRule(plan, seconds_per_byte=options.fault_pace))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with Proxy(options.upstream, rules, port=options.port) as proxy, contextlib.suppress(KeyboardInterrupt):
        print(json.dumps({"address": proxy.address}), flush=True)
        sys.stdin.read()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m registry_doubles", description=__doc__)
    parser.add_argument("upstream", metavar="HOST:PORT", help="the real registry, by http")
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1; a free port")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="added to every request")
    parser.add_argument("--fault-seed", type=int, help="inject faults by this seed")
    parser.add_argument("--fault-share", type=float, default=0.2, help="part of the requests that meet one")
    parser.add_argument(
        "--fault-pace", type=float, default=0.25, metavar="SECONDS", help="of a slow-loris, for each byte"
    )
    return parser


sys.exit(main())
