"""Helm from `helm-distro-url`: checked, safely unpacked, and its secret kept to its host."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from dockerimage_replication.aws import Aws
from dockerimage_replication.lock import LockedHelm
from dockerimage_replication.proof import distro as distro_module
from dockerimage_replication.proof import unpack
from dockerimage_replication.proof.distro import HelmDistro
from dockerimage_replication.proof.program import Helm, helm_at_hand, helm_distro
from dockerimage_replication.settings import Parameters
from dockerimage_replication.shared.endpoints import Endpoints
from dockerimage_replication.shared.errors import UserError
from replication_support import SECRET, ChartServer, basic, packed

PATH = "/helm/helm-v9-linux-amd64.tar.gz"
URL = f"https://helm.example{PATH}"
PROGRAM = b"#!/bin/sh\necho v9.0.0\n"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
MEMBER = f"linux-{MACHINE}/helm"
ARCHIVE = packed({f"linux-{MACHINE}/LICENSE": b"text", MEMBER: PROGRAM})
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


class Distro:
    """A server that has Helm, and what is said while it is fetched."""

    def __init__(self, server: ChartServer) -> None:
        self.server = server
        self.said: list[str] = []
        self.endpoints = Endpoints({"helm.example": f"http://{server.address}"})
        server.files[PATH] = ARCHIVE

    def says(self, text: str) -> None:
        self.server.files[f"{PATH}.sha256sum"] = text.encode()

    async def fetch(self, sha256: str | None = None, known: LockedHelm | None = None) -> Helm:
        return await self.use(HelmDistro(URL, sha256, None, self.endpoints, known))

    async def use(self, distro: HelmDistro | None) -> Helm:
        async with helm_at_hand(distro, self.said.append) as helm:
            assert helm is not None
            assert helm.program.is_file()
        assert not helm.folder.exists()
        return helm


@pytest.fixture
def distro(chart_server: ChartServer) -> Distro:
    return Distro(chart_server)


async def test_the_real_helm_is_fetched_and_runs(distro: Distro, newest_helm: Path) -> None:
    program = await asyncio.to_thread(newest_helm.read_bytes)
    distro.server.files[PATH] = packed({MEMBER: program}, level=0)

    helm = await distro.fetch()

    assert helm.identity.version == f"v{newest_helm.parent.name}"


async def test_the_parameter_says_the_checksum(distro: Distro) -> None:
    helm = await distro.fetch(DIGEST)

    assert helm.identity == LockedHelm("v9.0.0", URL, DIGEST)
    assert [path for path, _ in distro.server.requests] == [PATH]
    assert distro.said == []


@pytest.mark.parametrize(
    "text",
    [DIGEST, f"{DIGEST}  helm-v9-linux-amd64.tar.gz\n", f"{'0' * 64} *other\n{DIGEST.upper()} *./{PATH}"],
)
async def test_else_the_file_beside_it_does(distro: Distro, text: str) -> None:
    distro.says(text)

    assert (await distro.fetch()).identity == LockedHelm("v9.0.0", URL, DIGEST)
    assert distro.said == []


async def test_a_wrong_checksum_is_an_error_that_says_both(distro: Distro) -> None:
    with pytest.raises(UserError, match=f"{DIGEST}, and `helm-distro-sha256` says {'0' * 64}"):
        await distro.fetch("0" * 64)

    distro.says("0" * 64)
    with pytest.raises(UserError, match=f"the checksum beside it says {'0' * 64}"):
        await distro.fetch()


@pytest.mark.parametrize("text", ["<html>not found</html>", "", f"{DIGEST}  other.tar.gz"])
async def test_a_file_without_the_checksum_is_an_error(distro: Distro, text: str) -> None:
    distro.says(text)

    with pytest.raises(UserError, match="`helm-distro-sha256`"):
        await distro.fetch()


async def test_else_there_is_a_warning_and_a_digest_to_remember(distro: Distro) -> None:
    helm = await distro.fetch()

    assert helm.identity == LockedHelm("v9.0.0", URL, DIGEST)
    assert distro.said[0].startswith("WARNING: ")
    assert DIGEST in distro.said[0]


async def test_an_archive_that_was_remembered_may_not_change(distro: Distro) -> None:
    await distro.fetch(known=LockedHelm("v9.0.0", URL, DIGEST))
    assert distro.said == []

    before = "1" * 64
    with pytest.raises(UserError, match=f"has changed: its SHA-256 was {before}.*is {DIGEST} now"):
        await distro.fetch(known=LockedHelm("v9.0.0", URL, before))

    await distro.fetch(DIGEST, known=LockedHelm("v9.0.0", URL, before))
    await distro.fetch(known=LockedHelm("v9.0.0", "https://helm.example/older.tar.gz", before))


async def test_the_secret_goes_to_the_host_of_the_url_and_only_when_it_asks(
    aws: Aws, distro: Distro, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.secrets.create_secret(
        Name="distro", SecretString=json.dumps({"team": {"username": "robot", "password": SECRET}})
    )
    monkeypatch.setenv("SEEDFARMER_PARAMETER_EKS_VERSION", "1.33")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_URL", URL)
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_NAME", "distro")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_KEY", "team")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS", json.dumps(distro.endpoints.overrides))
    parameters = Parameters()

    await distro.use(helm_distro(parameters, aws.secrets, None))
    assert {authorization for _, authorization in distro.server.requests} == {None}

    distro.server.requests.clear()
    distro.server.password = SECRET
    await distro.use(helm_distro(parameters, aws.secrets, None))
    first, *others = distro.server.requests
    assert first == (PATH, None)
    assert {authorization for _, authorization in others} == {basic("robot", SECRET)}
    assert SECRET not in "".join(distro.said)

    with pytest.raises(UserError, match="wants credentials, and none are configured"):
        await distro.use(helm_distro(parameters, None, None))


async def test_a_redirect_to_another_host_does_not_get_the_secret(aws: Aws, distro: Distro) -> None:
    with ChartServer() as other:
        other.files[PATH] = ARCHIVE
        distro.server.redirects[PATH] = f"http://{other.address}{PATH}"
        distro.server.password = SECRET
        aws.secrets.create_secret(
            Name="distro", SecretString=json.dumps({"username": "robot", "password": SECRET})
        )
        secret = distro_module.HelmSecret(aws.secrets, "distro", None)

        await distro.use(HelmDistro(URL, DIGEST, secret, distro.endpoints, None))

        assert other.requests == [(PATH, None)]


async def test_a_missing_secret_is_named_with_its_parameter(
    aws: Aws, distro: Distro, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_EKS_VERSION", "1.33")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_URL", f"http://{distro.server.address}{PATH}")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_NAME", "absent")
    distro.server.password = SECRET

    with pytest.raises(UserError, match=r"`absent` \(manifest parameter `helm-distro-secret-name`\)"):
        await distro.use(helm_distro(Parameters(), aws.secrets, None))


async def test_an_archive_that_is_not_there_names_url_and_parameter(distro: Distro) -> None:
    del distro.server.files[PATH]

    with pytest.raises(UserError, match=f"`helm-distro-url`.*{URL}: not found"):
        await distro.fetch(DIGEST)


async def test_a_download_has_a_limit(distro: Distro, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distro_module, "MAX_DISTRO", len(ARCHIVE) - 1)

    with pytest.raises(UserError, match="is larger than"):
        await distro.fetch(DIGEST)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (packed({"../helm": PROGRAM, MEMBER: PROGRAM}), "leads out of it"),
        (packed({"/helm": PROGRAM, MEMBER: PROGRAM}), "leads out of it"),
        (packed({MEMBER: special(MEMBER, tarfile.SYMTYPE, "/bin/sh")}), "neither a file nor a folder"),
        (
            packed({MEMBER: PROGRAM, "x": special("x", tarfile.LNKTYPE, MEMBER)}),
            "neither a file nor a folder",
        ),
        (packed({MEMBER: special(MEMBER, tarfile.CHRTYPE)}), "neither a file nor a folder"),
        (packed({MEMBER: PROGRAM, f"./{MEMBER}": PROGRAM}), "twice"),
        (packed({"darwin-arm64/helm": PROGRAM}), rf"does not hold {MEMBER}.*it holds darwin-arm64/helm"),
        (packed({MEMBER: b"x" * 100_000}), "unpacks to more than 50000 bytes"),
        (gzip.compress(bytes(100_000)), "unpacks to more than 50000 bytes|does not hold"),
        (ARCHIVE[:-20], "is not a .tar.gz that can be read"),
        (PROGRAM, "is not a .tar.gz that can be read"),
        (gzip.compress(PROGRAM), "is not a .tar.gz that can be read"),
        (b"", "is not a .tar.gz that can be read"),
    ],
)
async def test_a_hostile_archive_is_refused_by_its_url(
    distro: Distro, archive: bytes, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(unpack, "MAX_UNPACKED", 50_000)
    left = tmp_path / "left"
    left.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(left))
    distro.server.files[PATH] = archive

    with pytest.raises(UserError, match=said) as error:
        await distro.fetch()

    assert URL in str(error.value)
    left.rmdir()  # which fails unless it is empty


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (b"\x7fELF", "cannot be run"),
        (b"#!/bin/sh\necho v2.17.0", "helm 3 or newer"),
        (b"#!/bin/sh\nexit 1", "run"),
    ],
)
async def test_a_program_that_is_no_helm_is_an_error(distro: Distro, program: bytes, said: str) -> None:
    distro.server.files[PATH] = packed({MEMBER: program})

    with pytest.raises(UserError, match=said):
        await distro.fetch()


def test_a_program_is_written_and_nothing_else(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("linux-amd64/README.md", "linux-arm64/helm", MEMBER):
            member = tarfile.TarInfo(name)
            member.size = len(PROGRAM)
            tar.addfile(member, io.BytesIO(PROGRAM))
    (tmp_path / "archive").write_bytes(buffer.getvalue())

    unpack.unpack_helm(tmp_path / "archive", tmp_path / "helm", "it")

    assert {path.name for path in tmp_path.iterdir()} == {"archive", "helm"}
    assert (tmp_path / "helm").read_bytes() == PROGRAM
    assert os.access(tmp_path / "helm", os.X_OK)


async def test_without_an_url_the_helm_on_path_is_used(newest_helm: Path) -> None:
    async with helm_at_hand(None, print) as helm:
        assert helm is not None
        assert (helm.program, helm.identity.url) == (newest_helm, None)


async def test_without_either_there_is_none() -> None:
    async with helm_at_hand(None, print) as helm:
        assert helm is None
