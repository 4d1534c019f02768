"""Images whose commands are run, by a real buildah in a user namespace."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from image_builder.building import BuildContext, Builder, BuildError, BuildResult
from image_builder.building.commands.context import environment
from image_builder.building.commands.sandbox import counted_apart
from image_builder.building.errors import CancelledBuildError, CommandError, LimitExceededError
from image_builder.building.settings import Limits
from image_builder.layers.image import Image
from image_builder.layers.mounts import BindMount, CacheMount, TmpfsMount

from .file_server import served
from .support import Bench, base_layers, bench, file_entry, push_base, tar_of

pytestmark = pytest.mark.engine

# Seconds from the order to the last process and file; on a machine that does nothing else, two are enough.
ENDED_WITHIN = 2.0 if os.environ.get("AIRGAP_LONG") else 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach: pytest's own are root's alone, and builds are not root."""
    made = Path(tempfile.mkdtemp(prefix="image-builder-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    """Bases that all tests share, as a service's builds do."""
    made = Path(tempfile.mkdtemp(prefix="image-builder-cache-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def builder(registry: str, base: str, folder: Path, cache: Path) -> Bench:
    """A builder whose folders builds can reach."""
    return bench(registry, folder, cache=cache)


def limited(builder: Bench, **limits: float) -> Bench:
    """The same builder with other limits."""
    changed = replace(Limits(seconds=120), **limits)  # type: ignore[arg-type]
    return replace(builder, settings=replace(builder.settings, limits=changed))


def processes_below(folder: Path) -> list[str]:
    """Processes of this machine that have anything to do with a builder's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in str((entry / "cwd").readlink()):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # ended meanwhile
    return found


def test_a_command_changes_files_and_nothing_but_them_is_in_the_layer(builder: Bench, base: str) -> None:
    image = Image("ran").stage(base, "1").run("echo made > /srv/made; rm /srv/kept").cmd(["cat", "/srv/made"])

    result = builder.build(image)

    pulled = builder.pull("team/ran:latest")
    assert pulled.tree["srv/made"] == file_entry(b"made\n")
    assert "srv/kept" not in pulled.tree
    assert pulled.config["config"]["Cmd"] == ["cat", "/srv/made"]
    assert result.way == "commands"
    assert list(builder.settings.work.iterdir()) == []


def test_every_layer_works_together_with_commands(builder: Bench, base: str) -> None:
    image = (
        Image("together")
        .arg("FIRST", "1")
        .file("a", b"a", "0755")
        .file("t.tar", tar_of({"unpacked": b"u"}))
        .stage(base, "1", alias="unused")
        .run("false")
        .stage(base, "1", alias="maker")
        .arg("FIRST")
        .env(["KIND"], ["$KIND-$FIRST"])
        .workdir("/work")
        .copy("a", ".", user_id="app")
        .add("t.tar", "/work/t/")
        .shell("/bin/sh", ["-ec"])
        .run('echo "$KIND $FIRST" > out\n# a comment, and not the end: \\\necho \'second "line"\' >> out')
        .user("app")
        .run("id -u > /tmp/me || true; echo $0")
        .stage("maker")
        .user("root")
        .run("cat /from/srv/kept > /srv/bound", BindMount(target="/from", from_layer="maker"))
        .run("echo x > /c/x", CacheMount(target="/c"))
        .run("echo y > /t/y", TmpfsMount(target="/t"))
        .copy("/srv/kept", "/taken", from_layer="1")
        .user("app")
    )

    builder.build(image)

    pulled = builder.pull("team/together:latest")
    assert pulled.tree["work/out"] == file_entry(b'base-1 1\nsecond "line"\n')
    assert pulled.tree["work/a"] == file_entry(b"a", 0o755, 1000, 1001)
    assert pulled.tree["work/t/unpacked"] == file_entry(b"u")
    assert pulled.tree["taken"] == file_entry(b"stays")
    assert pulled.config["config"]["User"] == "app"
    assert pulled.config["config"]["WorkingDir"] == "/work"


def test_the_files_of_a_request_are_copied_as_they_are_and_no_others(builder: Bench, base: str) -> None:
    """Whether a command runs besides or not: fetched files and builders' own conventions are none of them."""
    with served() as address:
        allowed = frozenset({address})
        builder = replace(builder, settings=replace(builder.settings, allowed_hosts=allowed))
        image = Image("whole").stage(base, "1").add(f"http://{address}/file", "/srv/from-url")
        for name, content in ((".dockerignore", b"*"), ("fetched/file", b"mine"), ("x/y", b"deep")):
            image = image.file(name, content)
        image = image.copy(".", "/srv/all/")
        builder.build(image)
        assembled = builder.pull("team/whole:latest").tree
        result = builder.build(image.run("true"))

    assert result.way == "commands"
    tree = builder.pull("team/whole:latest").tree
    assert {name for name in tree if name.startswith("srv/all/")} == {
        *("srv/all/.dockerignore", "srv/all/fetched", "srv/all/fetched/file", "srv/all/x", "srv/all/x/y")
    }
    assert tree["srv/from-url"] == file_entry(b"content", 0o600)
    assert {name: tree[name] for name in tree if name.startswith("srv/")} == {
        name: assembled[name] for name in assembled if name.startswith("srv/")
    }


def test_two_workers_make_the_same_digest(builder: Bench, base: str, registry: str, folder: Path) -> None:
    image = (
        Image("same")
        .stage(base, "1")
        .file("a", b"1")
        .copy("a", "/a")
        .run("mkdir /d; echo x > /d/x; busybox ln /d/x /d/y; busybox mkfifo /d/p; rm -r /srv")
    )
    other = bench(registry, folder / "other")
    (folder / "other").mkdir(mode=0o711)

    first, second = builder.build(image), other.build(image)

    assert first.digest == second.digest
    assert not second.cached


@pytest.mark.parametrize("status", [7, 125])  # buildah and the sandbox end with 125 themselves
def test_a_failing_command_ends_the_build_with_its_status_and_output(
    builder: Bench, base: str, status: int
) -> None:
    with pytest.raises(CommandError, match=f"exit status {status}"):
        builder.build(Image("fails").stage(base, "1").run(f"echo what went wrong >&2; exit {status}"))

    assert "what went wrong" in builder.lines
    assert list(builder.settings.work.iterdir()) == []


def test_commands_have_no_network_no_privilege_and_nothing_of_the_service(
    builder: Bench, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_PASSWORD", "canary-of-the-service")
    script = """
        busybox ip -o link; busybox cat /proc/net/dev; busybox env; busybox ps -o pid,args
        busybox grep CapEff /proc/self/status
        busybox mount -t tmpfs none /mnt && echo ESCAPED-mount
        busybox mknod /dev/sda b 8 0 && echo ESCAPED-mknod
        busybox chroot / busybox true && echo ESCAPED-chroot
        busybox chroot /proc/1/root busybox ls /root/.ssh && echo ESCAPED-root
        true
    """

    builder.build(Image("apart").stage(base, "1").run(script))

    log = "\n".join(builder.lines)
    assert "eth0" not in log
    assert "canary-of-the-service" not in log
    assert "pytest" not in log
    assert "\nESCAPED" not in log
    (capabilities,) = (line.split()[1] for line in builder.lines if line.startswith("CapEff"))
    assert int(capabilities, 16) & ~int("a80425fb", 16) == 0
    # mknod, net_raw, net_bind_service, sys_admin, net_admin, setpcap; sys_chroot leads out of a chroot
    for bit in (27, 13, 10, 21, 12, 8, 18):
        assert not int(capabilities, 16) >> bit & 1


def test_a_builder_that_begins_late_has_not_written_too_much(
    builder: Bench, base: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine buildah takes seconds until it makes its first file, and is not ended for it."""
    late = folder / "late"
    late.mkdir(mode=0o755)
    wait = "touch looks; until [ $(wc -l < looks) -ge 7 ]; do sleep 0.1; done"
    for program, before in {
        "du": "echo >> looks",
        "buildah": f'case " $* " in *" bud "*) {wait};; esac',
    }.items():
        (late / program).write_text(f'#!/bin/sh\n{before}\nexec {shutil.which(program)} "$@"\n')
        (late / program).chmod(0o755)

    def slow(job: Path) -> dict[str, str]:
        variables = environment(job)
        return {**variables, "PATH": f"{late}:{variables['PATH']}"}

    monkeypatch.setattr("image_builder.building.commands.build.environment", slow)

    builder.build(Image("late").stage(base, "1").run("true"))


HOSTILE: dict[str, tuple[str, dict[str, float], str]] = {
    "memory": (
        "busybox awk 'BEGIN { s = \"x\"; while (1) s = s s }'",
        {"memory": 300_000_000},
        "bytes of memory",
    ),
    "disk": ("dd if=/dev/zero of=/srv/f bs=1M count=2000; sleep 60", {"disk": 50_000_000}, ""),
    "many files on the disk": (
        "for n in $(seq 200); do dd if=/dev/zero of=/srv/f$n bs=1M count=1 2>/dev/null; done; sleep 60",
        {"disk": 50_000_000},
        "written more than 50000000 bytes",
    ),
    "many files, and nobody left to look": (
        "busybox ps -o pid,args | while read p words; do case $words in *'echo 'ready*)"
        " [ $p = 1 ] || kill -9 $p;; esac; done;"
        " for n in $(seq 200); do dd if=/dev/zero of=/srv/f$n bs=1M count=1 2>/dev/null; done; sleep 20",
        {"disk": 50_000_000},
        "written more than 50000000 bytes",
    ),
    "time": ("sleep 600 & sleep 600", {"seconds": 3}, "took more than 3 s"),
}


@pytest.mark.parametrize(("script", "limits", "problem"), HOSTILE.values(), ids=HOSTILE)
def test_who_takes_too_much_is_ended(
    builder: Bench, base: str, script: str, limits: dict[str, float], problem: str
) -> None:
    with pytest.raises((LimitExceededError, CommandError)) as raised:
        limited(builder, **limits).build(Image("greedy").stage(base, "1").run(f"{script}; true"))

    assert problem in str(raised.value)
    assert processes_below(builder.settings.work) == []
    assert list(builder.settings.work.iterdir()) == []


def test_what_goes_into_a_cache_mount_is_on_the_disk_too(builder: Bench, base: str) -> None:
    script = "for n in $(seq 200); do dd if=/dev/zero of=/c/f$n bs=1M count=1 2>/dev/null; done; sleep 600"
    image = Image("greedy").stage(base, "1").run(script, CacheMount(target="/c"))

    with pytest.raises(LimitExceededError, match="written more than 50000000 bytes"):
        limited(builder, disk=50_000_000).build(image)


def test_what_is_written_into_a_bind_mount_does_not_outlive_the_build(builder: Bench, registry: str) -> None:
    push_base(registry, "bases/bound:1", base_layers())
    base = f"{registry}/bases/bound"
    mount = BindMount(target="/m", source="/", from_layer=f"{base}:1", enable_readwrite=True)
    script = "echo poison > /m/written; echo poison > /m/srv/kept; true"
    writes = Image("writes").file("f", b"f").stage(base, "1").copy("f", "/f").run(script, mount)

    builder.build(writes)
    assert builder.pull("team/writes:latest").tree["srv/kept"] == file_entry(b"stays")
    builder.build(Image("after").stage(base, "1").run("cat /srv/kept > /seen; ls / > /there"))

    tree = builder.pull("team/after:latest").tree
    assert tree["seen"] == file_entry(b"stays")
    assert "written" not in tree


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (CacheMount(target="/c"), CacheMount(target="/c/l")),
        (CacheMount(target="/c", id="one"), CacheMount(target="/c/l", id="two")),
        (BindMount(target="/c", from_layer="maker", enable_readwrite=True), CacheMount(target="/c/l")),
        (
            BindMount(target="/c", from_layer="maker", enable_readwrite=True),
            BindMount(target="/c", source="l"),
        ),
    ],
    ids=["cache", "named cache", "stage", "files of the request"],
)
def test_a_link_that_a_command_left_leads_no_mount_to_files_of_the_service(
    builder: Bench, base: str, folder: Path, first: BindMount | CacheMount, second: BindMount | CacheMount
) -> None:
    """buildah 1.28 has the kernel follow links in a mount's source (CVE-2024-1753)."""
    secret = folder / "of-the-service"
    secret.write_text("canary of the service")
    secret.chmod(0o666)
    look = f"cat /c{secret} /c/l{secret}; echo poison > /c{secret}; echo poison > /c/l{secret}; true"
    image = Image("linked").file("f", b"f").stage(base, "1", alias="maker").run("true").stage(base, "1")

    with contextlib.suppress(CommandError):
        builder.build(image.copy("f", "/f").run("ln -s / /c/l", first).run(look, second))

    assert secret.read_text() == "canary of the service"
    assert "canary" not in "\n".join(builder.lines)


def test_a_cache_of_an_image_is_refused(builder: Bench, base: str) -> None:
    image = Image("cached").stage(base, "1").run("true", CacheMount(target="/c", from_layer=f"{base}:1"))

    with pytest.raises(BuildError, match=r"layers\[1\]\.mount\.from_layer: .* none"):
        builder.build(image)


def test_a_fork_bomb_ends_with_its_build(builder: Bench, base: str) -> None:
    bomb = "b() { b | b & }; b; sleep 600"

    with pytest.raises(BuildError):
        limited(builder, processes=100, seconds=8).build(Image("bomb").stage(base, "1").run(bomb))

    assert processes_below(builder.settings.work) == []


async def test_a_fork_bomb_leaves_other_builds_alone_whichever_user_it_is(builder: Bench, base: str) -> None:
    """The kernel counts all that one build has, and nothing else with it."""
    if not counted_apart(os.uname().release):
        pytest.skip("Linux before 5.14 counts the processes of a user in all user namespaces together")
    bomb = "( while :; do sleep 600 & done ) 2> /dev/null"
    both = f"busybox su app -c '{bomb}'; {bomb}; set -- /proc/[0-9]*; echo full $#; exec sleep 600"
    full, cancel = asyncio.Event(), asyncio.Event()
    bound = 100

    def heard(line: str) -> None:
        builder.lines.append(line)
        if line.startswith("full "):
            full.set()

    async with Builder(limited(builder, processes=bound).settings) as service:
        request = Image("bomb").stage(base, "1").run(both).request()
        build = asyncio.create_task(service.build(request, BuildContext(), heard, cancel))
        await begun(build, full)
        other = Image("beside").stage(base, "1").run("echo made > /made").request()
        await service.build(other, BuildContext(), builder.lines.append, asyncio.Event())
        cancel.set()
        await asyncio.wait([build])

    (line,) = (line for line in builder.lines if line.startswith("full "))
    assert int(line.split()[1]) <= bound
    assert "made" in builder.pull("team/beside:latest").tree


@pytest.mark.parametrize(
    ("release", "apart"),
    [
        ("5.10.223-211.872.amzn2.x86_64", False),
        ("5.14.0-427.el9", True),
        ("6.1.0-25-amd64", True),
        ("6.18", True),
    ],
)
def test_a_kernel_that_counts_all_builds_together_is_known_by_its_release(release: str, apart: bool) -> None:
    """Linux 5.14 has moved RLIMIT_NPROC to user namespaces (commit 21d1c5e386bc)."""
    assert counted_apart(release) is apart


def test_a_log_without_end_is_cut_and_the_build_goes_on(builder: Bench, base: str) -> None:
    count = 1_000 if os.environ.get("AIRGAP_LONG") else 50  # MB
    script = f"busybox yes 'line of the log' | head -c {count}000000; echo x > /done"

    limited(builder, log=100_000).build(Image("chatty").stage(base, "1").run(script))

    assert sum(len(line) + 1 for line in builder.lines) < 110_000
    assert any("the log ends here" in line for line in builder.lines)
    assert "done" in builder.pull("team/chatty:latest").tree


async def begun(build: "asyncio.Task[BuildResult]", running: asyncio.Event) -> None:
    """Wait until a build's command runs; a build that ends before says why."""
    waiting = asyncio.create_task(running.wait())
    await asyncio.wait([build, waiting], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    if build.done():
        waiting.cancel()
        build.result()
    assert running.is_set()


def test_nobody_can_slip_other_layers_under_the_base_of_others(
    builder: Bench, registry: str, folder: Path
) -> None:
    """An image's configuration is no proof of its layers: a stranger's image may have the same one."""
    genuine = [*base_layers(), tar_of({"whose": b"genuine\n"})]
    forged = [*base_layers(), tar_of({"whose": b"forged\n"})]
    push_base(registry, "bases/genuine:1", genuine)
    push_base(registry, "strangers/forged:1", genuine, instead=forged)
    own = replace(builder, settings=replace(builder.settings, cache=folder / "cache"))

    for name in ("strangers/forged", "bases/genuine"):
        image = Image(name.partition("/")[2]).stage(f"{registry}/{name}", "1").run("cat /whose > /seen")
        own.build(image)

    assert own.pull("team/genuine:latest").tree["seen"] == file_entry(b"genuine\n")


def test_two_bases_that_say_the_same_of_themselves_are_two(builder: Bench, registry: str) -> None:
    """A configuration is no proof of layers: also not within one build."""
    one = [*base_layers(), tar_of({"whose": b"one\n"})]
    other = [*base_layers(), tar_of({"whose": b"other\n"})]
    push_base(registry, "twins/one:1", one)
    push_base(registry, "twins/other:1", one, instead=other)
    image = Image("twins").stage(f"{registry}/twins/other", "1", alias="other").run("cat /whose > /seen")
    image = image.stage(f"{registry}/twins/one", "1").run("cat /whose > /seen")
    image = image.copy("/seen", "/there", from_layer="other")
    image = image.copy("/whose", "/third", from_layer=f"{registry}/twins/other:1")

    builder.build(image)

    tree = builder.pull("team/twins:latest").tree
    assert tree["seen"] == file_entry(b"one\n")
    assert tree["there"] == tree["third"] == file_entry(b"other\n")


def test_files_of_nothing_are_refused(builder: Bench, base: str) -> None:
    image = Image("nothing").stage(base, "1").run("true").copy("/a", "/b", from_layer="scratch")

    with pytest.raises(BuildError, match="scratch has no files"):
        builder.build(image)


async def test_a_cancelled_build_ends_with_all_its_descendants(builder: Bench, base: str) -> None:
    script = (
        "trap '' TERM INT; (busybox setsid sleep 600 &) ; busybox nohup sleep 600 & echo running; sleep 600"
    )
    cancel, running = asyncio.Event(), asyncio.Event()

    def heard(line: str) -> None:
        if line == "running":
            running.set()

    async with Builder(builder.settings) as service:
        request = Image("cancelled").stage(base, "1").run(script).request()
        build = asyncio.create_task(service.build(request, BuildContext(), heard, cancel))
        await begun(build, running)
        assert processes_below(builder.settings.work)
        begin = time.monotonic()
        cancel.set()
        with pytest.raises(CancelledBuildError):
            await build
        took = time.monotonic() - begin

    assert processes_below(builder.settings.work) == []
    assert list(builder.settings.work.iterdir()) == []
    assert took < ENDED_WITHIN


async def test_a_cancelled_task_ends_its_build(builder: Bench, base: str) -> None:
    running = asyncio.Event()
    says: Callable[[str], None] = lambda line: running.set() if line == "running" else None  # noqa: E731

    async with Builder(builder.settings) as service:
        request = Image("cancelled").stage(base, "1").run("echo running; sleep 600").request()
        build = asyncio.create_task(service.build(request, BuildContext(), says, asyncio.Event()))
        await begun(build, running)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build

    assert processes_below(builder.settings.work) == []


def test_a_hostile_archive_is_refused_before_buildah_sees_it(builder: Bench, base: str) -> None:
    image = Image("hostile").file("a.tar", tar_of({"../../evil": b""})).stage(base, "1")

    with pytest.raises(BuildError, match="leads out of the destination"):
        builder.build(image.add("a.tar", "/srv/").run("true"))


@pytest.fixture(autouse=True)
def _log(builder: Bench) -> Iterator[None]:
    """A failing test shows the log of its builds."""
    yield
    print("\n".join(builder.lines)[-20_000:])
