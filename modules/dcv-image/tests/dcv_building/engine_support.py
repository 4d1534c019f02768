"""A real engine, a real registry and small images, for the tests of how images are built."""

import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dcv_image.shared_build.engine import Engine


def has_engine() -> bool:
    """Whether `docker` answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def docker(*arguments: str) -> str:
    """Run the engine; its output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Run docker-registry on loopback; gives its `host:port`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    # Every REGISTRY_* variable would be taken as configuration.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    with subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")],
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        log = iter(process.stderr)
        drain = threading.Thread(target=lambda: sum(1 for _ in log))
        try:
            assert any("listening on" in line for line in log), "docker-registry did not start"
            drain.start()
            yield address
        finally:
            process.terminate()
        drain.join()


PROGRAMS = ("sh", "mkdir", "touch", "cp", "chmod", "date", "cat", "ln", "hostname")


@contextmanager
def small_base(folder: Path) -> Iterator[str]:
    """An image with a shell and a few programs, copied from this machine."""
    archive = folder / f"base-{uuid.uuid4().hex}.tar"
    with tarfile.open(archive, "w", dereference=True) as output:
        for name in PROGRAMS:
            output.add(str(shutil.which(name)), f"bin/{name}")
        for library in _libraries():
            output.add(library, library)
    name = f"localhost/airgap-test-base:{uuid.uuid4().hex}"
    docker("import", str(archive), name)
    archive.unlink()
    try:
        yield name
    finally:
        docker("image", "rm", "--force", name)


def _libraries() -> set[str]:
    """Where the programs' shared libraries are, the loader among them (ldd(1))."""
    found: set[str] = set()
    for name in PROGRAMS:
        listed = subprocess.run(["ldd", str(shutil.which(name))], capture_output=True, text=True, check=True)
        found.update(word for word in listed.stdout.split() if word.startswith("/"))
    return found


def saved_layers(engine: Engine, reference: str, folder: Path) -> list[dict[str, tuple[object, ...]]]:
    """Each layer of an image in the engine: what it holds by path, to name what differs."""
    archive = folder / f"{uuid.uuid4().hex}.tar"
    engine.save(reference, archive)
    with tarfile.open(archive) as saved:
        manifest = saved.extractfile("manifest.json")
        assert manifest is not None
        names = json.loads(manifest.read())[0]["Layers"]
        layers = []
        for name in names:
            file = saved.extractfile(name)
            assert file is not None
            with tarfile.open(fileobj=file) as layer:
                layers.append({member.name: _described(layer, member) for member in layer})
    archive.unlink()
    return layers


def wait_for_another_second() -> None:
    """Until the clock, whose seconds are what archives keep, shows another one."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.01)


def differing_files(
    one: list[dict[str, tuple[object, ...]]], other: list[dict[str, tuple[object, ...]]]
) -> Mapping[str, tuple[object, object]]:
    """The files in which two images differ: path to what each has."""
    return {
        f"layer {index}: {path}": (first.get(path), second.get(path))
        for index, (first, second) in enumerate(zip(one, other, strict=True))
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    }


def _described(layer: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    file = layer.extractfile(member) if member.isreg() else None
    content = hash(file.read()) if file else None
    return (member.type, member.mode, member.uid, member.gid, member.mtime, member.linkname, content)
