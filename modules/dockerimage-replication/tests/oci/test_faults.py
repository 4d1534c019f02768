"""The fault campaign: one run with its own retries converges, whatever goes wrong on the way.

Both sides meet injected faults on 20 % of all requests. `AIRGAP_LONG=1` runs 200 seeds.
"""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field

from dockerimage_replication.oci.copy import Copier
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.retry import RetryPolicy
from dockerimage_replication.oci.transport import Transport
from registry_doubles.ecr import Ecr, Rate
from registry_doubles.exchange import Rule
from registry_doubles.faults import FaultPlan, FaultRule
from registry_doubles.proxy import Proxy

from .catalogue import Catalogue
from .support import Client

RUNS = 200 if os.environ.get("AIRGAP_LONG") else 12
AT_ONCE = 4
KINDS = ("docker-registry", "ECR")
BYTES_RATIO = 1.3  # times the bytes of a run without faults
IDLE = 1.0  # seconds that the client waits for bytes, or for enough of them
RUN_LIMIT = 120.0  # seconds after which a run counts as one that hangs

QUICK = RetryPolicy(first_delay=0.02, longest_delay=0.2)


@dataclass
class Campaign:
    """What all runs together have done; bytes by the kind of their destination."""

    bytes: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    injected: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"failed: {self.failures or 'none'}; injected: {dict(self.injected)}"


async def run(
    catalogue: Catalogue, source: Client, destination: Client, seed: int, *, share: float, into: Campaign
) -> None:
    """One run; every other one copies into a registry with the rules of ECR."""
    rules = [FaultRule(FaultPlan(2 * seed + side, share)) for side in (0, 1)]
    kind = KINDS[seed % 2]
    behind: list[Rule] = [Ecr(put_image=Rate(1000))] if kind == "ECR" else []
    prefix = f"seed-{seed}/"
    with Proxy(source.address, [rules[0]]) as near, Proxy(destination.address, [rules[1], *behind]) as far:
        async with Transport(retry=QUICK, idle_timeout=IDLE) as transport:
            copier = Copier(transport)
            copies = [
                copier.copy_image(
                    Reference.parse(f"{near.address}/{name}:1"),
                    Reference.parse(f"{far.address}/{prefix}{name}:1"),
                )
                for name in catalogue.repositories
            ]
            try:
                async with asyncio.timeout(RUN_LIMIT):
                    results = await asyncio.gather(*copies, return_exceptions=True)
            except TimeoutError:
                results = [TimeoutError("the run hangs")]
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            into.failures[seed] = "; ".join(f"{type(error).__name__}: {error}" for error in errors)
        into.bytes[kind] += near.recording.bytes + far.recording.bytes
        for rule in rules:
            into.injected.update({str(kind): count for kind, count in rule.injected.items()})
    problems = await catalogue.problems(source, destination, prefix)
    if problems and seed not in into.failures:
        into.failures[seed] = "; ".join(problems)


async def test_every_run_converges_and_costs_little_more(source: Client, destination: Client) -> None:
    catalogue = await Catalogue.push(source, "faults")
    calm, campaign = Campaign(), Campaign()
    for seed in (RUNS, RUNS + 1):
        await run(catalogue, source, destination, seed, share=0.0, into=calm)
    assert calm.failures == {}
    places = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> None:
        async with places:
            await run(catalogue, source, destination, seed, share=0.2, into=campaign)

    await asyncio.gather(*[one(seed) for seed in range(RUNS)])
    ratio = campaign.bytes.total() / (calm.bytes.total() * RUNS / len(KINDS))
    each = {kind: round(campaign.bytes[kind] / (calm.bytes[kind] * RUNS / len(KINDS)), 2) for kind in KINDS}
    print(f"{RUNS - len(campaign.failures)} of {RUNS} runs converged, {ratio:.2f} times the bytes {each}")
    print(campaign)
    assert campaign.failures == {}
    assert ratio <= BYTES_RATIO
