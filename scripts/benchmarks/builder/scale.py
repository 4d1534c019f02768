"""What 10,000 builds an hour need of database, API server and registry: one measured, all simulated."""

import time
from collections.abc import Mapping
from contextlib import closing

from localcloud import packages
from localcloud.progress import Progress

from ..result import Goal, Report, Result
from .bases import push_small
from .lab import BuilderLab, Postgres
from .orders import copying
from .simulation import Costs, Load, breaks_first, simulate

BUILDS = 10_000  # an hour
PODS = 100  # at a time
POD_SECONDS = 15.0  # median of a build in a pod: scheduling, pulling, start of the program, the build itself
MEASURED = 20  # builds
COMMITS, ROWS, BYTES = "database_commits_per_s", "database_rows_per_s", "database_kib_per_s"
CALLS, REQUESTS, ACCEPTS = "api_calls_per_s", "registry_requests_per_s", "accepts_per_s"
# From the code of `cluster/`: each replica, in its turn, lists Jobs each second, and pods where one has
# ended; a Job is created and deleted once. The lock of its turn is one transaction each second, per replica.
REPLICAS = 3
CALLS_EACH_SECOND = 2.0 * REPLICAS
CALLS_AT_START, CALLS_AT_END = 1.0, 1.0
HEARTBEATS = 5 / 15  # renewals of a lease of 15 s a second, for each pod
# What one instance takes; of the API server and the registry, what their documents and our runs say.
API_CALLS = 50.0  # a second: a careful share of an API server's default 400 requests in flight at 10 ms
REGISTRY = 300.0  # requests a second of one docker-registry on two cores with a local disk


def measure(runs: int) -> Report:
    """Measure what one build costs, and simulate an hour of many."""
    progress = Progress()
    packages.ensure_programs(("docker-registry", "busybox", "pg_ctlcluster"), progress)
    with BuilderLab() as lab, progress.step(f"the costs of {runs} builds"):
        server = lab.postgres()
        cost, commits = _of_one(lab, server, runs)
        version = server.ask("SHOW server_version").split()[0]
    costs = Costs(
        accepted={ACCEPTS: 1.0, COMMITS: 1.0, ROWS: 1.0},
        started={CALLS: CALLS_AT_START, COMMITS: 1.0},
        ended={
            CALLS: CALLS_AT_END,
            COMMITS: max(0.0, cost[COMMITS] - 2.0) + HEARTBEATS * POD_SECONDS,
            ROWS: cost[ROWS] - 1.0,
            BYTES: cost[BYTES],
            REQUESTS: cost[REQUESTS],
        },
        each_second={CALLS: CALLS_EACH_SECOND, COMMITS: float(REPLICAS)},
    )
    load = Load(BUILDS, PODS, POD_SECONDS)
    outcome = simulate(load, costs)
    capacity = {COMMITS: commits, CALLS: API_CALLS, REQUESTS: REGISTRY}
    part, builds = breaks_first(load, costs, capacity)
    results = [
        Result(
            name,
            "/s",
            outcome.mean[name],
            Goal("ours", "<=", capacity[name]),
            {},
            _span(outcome.busiest, name),
        )
        for name in (COMMITS, CALLS, REQUESTS)
    ]
    results.append(Result("pods", "", outcome.most_pods, Goal("ours", "<=", PODS)))
    results.append(Result("wait_for_pod_p95_s", "s", outcome.wait_p95, Goal("ours", "<=", 5.0)))
    notes = (
        f"One build (measured, {runs} builds): {cost[COMMITS]:.1f} commits, {cost[ROWS]:.1f} rows, "
        f"{cost[BYTES]:.1f} KiB of database, {cost[REQUESTS]:.1f} registry requests.",
        f"{BUILDS} builds an hour, {PODS} pods, {POD_SECONDS:.0f} s each (median): mean of the hour; the "
        f"goal is what one instance takes; the database committed {commits:.0f} times a second here.",
        f"Rows {outcome.mean[ROWS]:.1f} /s, database {outcome.mean[BYTES]:.0f} KiB/s, "
        f"accepts {outcome.mean[ACCEPTS]:.1f} /s, {outcome.busiest[ACCEPTS]:.0f} in the busiest second.",
        f"Breaks first: {part}, at {builds} builds an hour.",
    )
    return Report(results, {"postgresql": version}, notes)


def _span(busiest: Mapping[str, float], name: str) -> dict[str, tuple[float, float]]:
    return {"ours": (0.0, busiest[name])}


def _of_one(lab: BuilderLab, server: Postgres, builds: int) -> tuple[dict[str, float], float]:
    """What one build costs the database and the registry; commits a second that the database takes."""
    base = push_small(lab.registry, "bases/small")
    uri = server.new_database("scale")
    proxy = lab.plain.double(lab.registry.port)
    service = lab.service(
        {
            "DCRX_KV_DATABASE_URI": uri,
            "DOCKER_REGISTRY_URI": f"http://127.0.0.1:{proxy.port}/v2/team",
            "DCRX_KV_ALLOWED_HOSTS": "127.0.0.1",
        }
    )
    with closing(service.client()) as client:
        client.build(copying(base)("warm").order)
        before, requests = _counted(server), proxy.statistics()["requests"]
        for _ in range(builds):
            client.build(copying(base)("counted").order)
        after, asked = _counted(server), proxy.statistics()["requests"] - requests
    lab.stop(service)
    cost = {name: (after[name] - before[name]) / builds for name in before}
    cost[REQUESTS] = asked / builds + 1  # the base's tag is asked for at the registry itself
    return cost, _commits_per_second(server)


def _counted(server: Postgres) -> dict[str, float]:
    """Written transactions, rows and KiB; transactions are numbered only when they write."""
    server.ask("SELECT pg_stat_clear_snapshot()")
    commits, rows, size = server.ask(
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, "
        "(SELECT count(*) FROM jobs) + (SELECT count(*) FROM job_events), pg_database_size('scale')",
        "scale",
    ).split("|")
    return {COMMITS: float(commits), ROWS: float(rows), BYTES: float(size) / 1024}


def _commits_per_second(server: Postgres) -> float:
    """Durable commits of one connection a second: several at a time share a write to the disk."""
    server.ask("CREATE TABLE commits (n int)", "scale")
    begun = time.perf_counter()
    server.ask(
        "DO $$ BEGIN FOR i IN 1..300 LOOP INSERT INTO commits VALUES (i); COMMIT; END LOOP; END $$", "scale"
    )
    return 300 / (time.perf_counter() - begun)
