"""The figures of `./scripts/bench builder`."""

import json
import statistics
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from localcloud import packages
from localcloud.errors import LocalCloudError
from localcloud.progress import Progress

from ..result import Goal, Report, Result
from .bases import push_large, push_small
from .lab import BuilderLab, BuildService, digest_of_tag
from .load import post, send_all
from .orders import TEAM, Make, configured, copying, heavy, running
from .peers import Buildah, Docker, DockerEngine, Peer

PARTS = ("assembled", "commands", "identical", "accepts", "memory")
PROGRAMS = ("docker-registry", "buildah", "newuidmap", "busybox", "pg_ctlcluster")
WARM_UP = 3  # builds of each contender that are not counted
CONNECTIONS = 64
ACCEPTS = 2000  # requests in one round
ROUNDS = 3
HEAVY_BUILDS = 10
HEAVY_MIB = 500


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        runs: builds of each contender; ten times as many identical requests.
    """

    runs: int
    parts: Sequence[str] = PARTS


def measure(extent: Extent) -> Report:
    """Measure with real services on loopback; everything is ended and removed afterwards."""
    progress = Progress()
    packages.ensure_programs(PROGRAMS, progress)
    results: list[Result] = []
    notes: list[str] = []
    versions: dict[str, str] = {}
    with BuilderLab() as lab:
        base = push_small(lab.registry, "bases/small")
        if {"assembled", "commands", "identical"} & set(extent.parts):
            service = lab.service()
            with DockerEngine(lab.folder / "docker", lab.registry.port, progress) as docker:
                bench = Bench(lab, service, _peers(lab, docker, base), base, extent.runs)
                versions |= {peer.name: peer.version for peer in bench.peers}
                for part, work in (
                    ("assembled", bench.assembled),
                    ("commands", bench.commands),
                    ("identical", bench.identical),
                ):
                    if part in extent.parts:
                        with progress.step(part):
                            work(results, notes)
            lab.stop(service)
        if "accepts" in extent.parts:
            versions |= _accepts(lab, base, results, notes, progress)
        if "memory" in extent.parts:
            with progress.step(f"{HEAVY_BUILDS} builds with layers of {HEAVY_MIB} MB"):
                results.append(_memory(lab))
    return Report(results, versions, notes)


@dataclass(frozen=True)
class Bench:
    """Our service and its peers, all warm, in front of one registry."""

    lab: BuilderLab
    service: BuildService
    peers: Sequence[Peer]
    base: str
    runs: int

    def assembled(self, results: list[Result], notes: list[str]) -> None:
        """Requests that run nothing."""
        ours, peers = self._in_turn(copying(self.base), "copied", self.peers)
        milliseconds = {name: [1000 * each for each in runs] for name, runs in peers.items()}
        mine = [1000 * each for each in ours]
        results.append(Result.of_runs("assembled_p50_ms", "ms", mine, Goal("ours", "<=", 30.0), milliseconds))
        beside = {"buildah": milliseconds["buildah"]}
        results.append(Result.of_runs("assembled_vs_buildah", "ms", mine, Goal("ratio", ">=", 8.0), beside))

    def commands(self, results: list[Result], notes: list[str]) -> None:
        """Requests with RUN: what the service adds to buildah itself."""
        ours, peers = self._in_turn(running(self.base), "ran", self.peers)
        raw = statistics.median(peers["buildah"])
        mine = statistics.median(ours)
        over = [1000 * (each - other) for each, other in zip(ours, peers["buildah"], strict=True)]
        allowed = max(100.0, 0.1 * 1000 * raw)
        results.append(Result.of_runs("run_overhead_ms", "ms", over, Goal("ours", "<=", allowed)))
        beside = ", ".join(f"{name} {1000 * statistics.median(runs):.0f} ms" for name, runs in peers.items())
        notes.append(
            f"run_overhead_ms: {100 * (mine / raw - 1):+.0f} % of buildah; with RUN, build and push took "
            f"image-builder {1000 * mine:.0f} ms, {beside}."
        )

    def identical(self, results: list[Result], notes: list[str]) -> None:
        """The same request again and again."""
        recipe = copying(self.base)("again")
        with closing(self.service.client()) as client:
            _, digest = client.build(recipe.order)
            seconds = []
            for _ in range(10 * self.runs):
                taken, again = client.build(recipe.order)
                if again != digest:
                    raise LocalCloudError(f"the same request gave {digest}, then {again}")
                seconds.append(1000 * taken)
        late = _p95(seconds)
        span = {"ours": (min(seconds), max(seconds))}
        results.append(Result("identical_p95_ms", "ms", late, Goal("ours", "<=", 20.0), {}, span))

    def _in_turn(
        self, make: Make, name: str, peers: Sequence[Peer]
    ) -> tuple[list[float], dict[str, list[float]]]:
        """Seconds of each contender for as many different images, one contender after the other."""
        ours: list[float] = []
        others: dict[str, list[float]] = {peer.name: [] for peer in peers}
        with closing(self.service.client()) as client:
            for number in range(WARM_UP + self.runs):
                recipe = make(name)
                seconds, digest = client.build(recipe.order)
                if digest_of_tag(self.lab.registry, f"{TEAM}/{name}", recipe.tag) != digest:
                    raise LocalCloudError(f"{name}:{recipe.tag} is not in the registry as {digest}")
                ours.append(seconds)
                folder = recipe.write(self.lab.folder / "contexts" / f"{name}-{number}")
                for peer in peers:
                    others[peer.name].append(peer.build(recipe, folder))
        return ours[WARM_UP:], {name: runs[WARM_UP:] for name, runs in others.items()}


def _peers(lab: BuilderLab, docker: Docker | None, base: str) -> list[Peer]:
    peers: list[Peer] = [Buildah.in_folder(lab.folder / "buildah", lab.registry.port)]
    if docker:
        peers.append(docker)
    for peer in peers:
        peer.warm(base)
    return peers


def _accepts(
    lab: BuilderLab, base: str, results: list[Result], notes: list[str], progress: Progress
) -> dict[str, str]:
    """Requests accepted in a second, each a committed row before its answer, while builds go on."""
    with progress.step("accepts on SQLite"):
        sqlite = [_rate(lab, base, {}) for _ in range(ROUNDS)]
    results.append(Result.of_runs("accepts_per_s_sqlite", "/s", sqlite, Goal("ours", ">=", 200.0)))
    with progress.step("accepts on PostgreSQL"):
        server = lab.postgres()
        durable = (
            f"fsync {server.ask('SHOW fsync')}, synchronous_commit {server.ask('SHOW synchronous_commit')}"
        )
        uris = [server.new_database(f"accepts_{number}") for number in range(ROUNDS)]
        postgres = [_rate(lab, base, {"DCRX_KV_DATABASE_URI": uri}) for uri in uris]
    results.append(Result.of_runs("accepts_per_s_postgres", "/s", postgres, Goal("ours", ">=", 500.0)))
    notes.append(
        f"accepts: {CONNECTIONS} connections, {ACCEPTS} different requests, {ROUNDS} rounds; the service "
        "builds meanwhile, and the client is on the same cores. SQLite: WAL, synchronous FULL; "
        f"PostgreSQL: {durable}."
    )
    return {"postgresql": server.ask("SHOW server_version").split()[0]}


def _rate(lab: BuilderLab, base: str, settings: dict[str, str]) -> float:
    service = lab.service({"DCRX_KV_JOB_MAX_PENDING": "100000", **settings})
    try:
        with closing(service.client()) as client:
            client.build(configured(base, "warm"))
            token = client.token
        orders = [json.dumps(configured(base, "accepted")).encode() for _ in range(ACCEPTS)]
        requests = [post("/jobs/images/create", token, order) for order in orders]
        answers = send_all(service.port, requests, CONNECTIONS)
        if len({json.loads(body)["job_id"] for body in answers.bodies}) != ACCEPTS:
            raise LocalCloudError("not every accepted request has a job of its own")
        return ACCEPTS / answers.seconds
    finally:
        lab.stop(service)


def _memory(lab: BuilderLab) -> Result:
    """The service's own peak while ten builds make and push large layers at once."""
    base = push_large(lab.registry, "bases/large", HEAVY_MIB)
    service = lab.service({"DCRX_KV_JOB_POOL_SIZE": str(HEAVY_BUILDS)})
    with closing(service.client()) as client:
        for job in [client.order(heavy(base, number)) for number in range(HEAVY_BUILDS)]:
            client.wait(job)
    peak = service.peak_mib
    lab.stop(service)
    return Result("service_rss_mib", "MiB", peak, Goal("ours", "<=", 200.0))


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
