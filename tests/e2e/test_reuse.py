"""A module alone, in somebody else's project: by git reference and as an archive, nothing else around it."""

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from support.local import LocalCloud

pytestmark = pytest.mark.engine

PROJECT = "project: elsewhere\nseedfarmer_version: 8.0.9\n"
DEPLOYMENT = """\
name: reuse
toolchainRegion: us-east-1
forceDependencyRedeploy: true
groups:
  - name: replication
    path: manifests/replication.yaml
  - name: desktops
    path: manifests/desktops.yaml
targetAccountMappings:
  - alias: primary
    accountId: {{valueFrom: {{envVariable: LOCAL_ACCOUNT_ID}}}}
    default: true
    regionMappings:
      - {{region: us-east-1, default: true}}
"""
REPLICATION = """\
name: images
path: git::file://{repository}/.git//modules/dockerimage-replication?ref=v0.0.1
dataFiles:
  - filePath: data/versions/default.yaml
  - filePath: data/versions/1.33.yaml
parameters:
  - {{name: eks-version, value: "1.33"}}
  - {{name: data-path, value: data/versions}}
  - {{name: retention-type, value: DESTROY}}
  - {{name: registry-endpoints, valueFrom: {{envVariable: LOCAL_REGISTRY_ENDPOINTS}}}}
"""
DESKTOPS = """\
name: dcv
path: archive::{archive}?module=modules/dcv-image
parameters:
  - {{name: dcv-ecr-repository-name, value: elsewhere-dcv}}
  - {{name: create-repository, value: true}}
  - {{name: base-image, value: "docker.io/library/debian:bookworm"}}
  - {{name: dcv-archive, valueFrom: {{envVariable: LOCAL_DCV_ARCHIVE}}}}
  - {{name: dcv-archive-sha256, valueFrom: {{envVariable: LOCAL_DCV_ARCHIVE_SHA256}}}}
  - {{name: dcv-signing-key, valueFrom: {{envVariable: LOCAL_DCV_SIGNING_KEY}}}}
  - {{name: dcv-signing-key-fingerprint, valueFrom: {{envVariable: LOCAL_DCV_SIGNING_KEY_FINGERPRINT}}}}
  - {{name: retention-type, value: DESTROY}}
  - name: replicated-ecr-images-metadata-s3-path
    valueFrom: {{moduleMetadata: {{group: replication, name: images, key: S3FullPath}}}}
  - {{name: registry-endpoints, valueFrom: {{envVariable: LOCAL_REGISTRY_ENDPOINTS}}}}
"""


@pytest.fixture
def archives(checkout: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The collection as a release archive on loopback: its https URL, and the certificate to trust."""
    folder = tmp_path / "archives"
    folder.mkdir()
    subprocess.run(
        ["git", "-C", str(checkout), "archive", "--format=zip", "--prefix=airgap-modules-v0.0.1/",
         "--output", str(folder / "v0.0.1.zip"), "v0.0.1"],
        check=True,
    )  # fmt: skip
    certificate = make_certificate(tmp_path)
    with https_server(folder, certificate) as port:
        yield f"https://127.0.0.1:{port}/v0.0.1.zip", certificate


@pytest.fixture
def project(checkout: Path, tmp_path: Path, archives: tuple[str, Path]) -> Path:
    """A project outside the repository that has data files and manifests, and no module."""
    folder = tmp_path / "elsewhere"
    (folder / "manifests").mkdir(parents=True)
    shutil.copytree(
        checkout / "data" / "local_dockerimage-replication" / "versions", folder / "data" / "versions"
    )
    (folder / "seedfarmer.yaml").write_text(PROJECT)
    (folder / "manifests" / "deployment.yaml").write_text(DEPLOYMENT.format())
    (folder / "manifests" / "replication.yaml").write_text(REPLICATION.format(repository=checkout))
    (folder / "manifests" / "desktops.yaml").write_text(DESKTOPS.format(archive=archives[0]))
    return folder


def test_a_project_elsewhere_deploys_modules_by_git_reference_and_by_archive(
    cloud: LocalCloud, project: Path, archives: tuple[str, Path], tmp_path: Path
) -> None:
    authorities = tmp_path / "authorities.pem"
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    authorities.write_text(archives[1].read_text() + (system.read_text() if system.exists() else ""))
    trust = {"REQUESTS_CA_BUNDLE": str(authorities)}
    cloud.must("apply", "manifests/deployment.yaml", project=project, **trust)
    outputs = cloud.outputs("manifests/deployment.yaml", project=project)
    assert outputs["S3FullPath"].startswith("elsewhere-dkr-img-rep-md-us-east-1-123456789012/reuse-")
    assert outputs["DCVImageUri"].endswith("/elsewhere-dcv:dcv-latest")
    cloud.must("destroy", "manifests/deployment.yaml", project=project, **trust)
    left = cloud.inventory()
    assert {name for name in left.stacks if "reuse" in name} == set()
    assert {name for name in left.repositories if "elsewhere" in name} == set()


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key),
         "-out", str(certificate), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate


@contextmanager
def https_server(folder: Path, certificate: Path) -> Iterator[int]:
    """Serve a folder on a free port of 127.0.0.1."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
