"""The check of signatures in .deb packages, as it runs in the build."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from dcv_image.shared.errors import UserError
from dcv_image.signing_key import armoured, verified_key
from standin.archive import xdcv
from standin.deb import signed_by_debsigs, signed_by_dpkg_sig, unsigned
from standin.signing import SigningKey, signing_key

PROGRAM = Path(__file__).resolve().parent.parent / "image" / "install" / "verify_deb.py"
PARAMETER = "dcv-signing-key"
MEMBERS = xdcv().members()
Sign = Callable[[Mapping[str, bytes], SigningKey], bytes]
both_kinds = pytest.mark.parametrize("sign", [signed_by_debsigs, signed_by_dpkg_sig])


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as made:
        yield made


@pytest.fixture(scope="module")
def stranger() -> Iterator[SigningKey]:
    with signing_key() as made:
        yield made


def verify(
    package: bytes, key: SigningKey, folder: Path, unsigned_deb: str = "refuse"
) -> subprocess.CompletedProcess[str]:
    """Run the check as install.sh does."""
    file, ring = folder / "package.deb", folder / "key.gpg"
    file.write_bytes(package)
    ring.write_bytes(verified_key(key.public, key.fingerprint, PARAMETER))
    command = [sys.executable, "-IBS", str(PROGRAM), str(file), str(ring), unsigned_deb]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@both_kinds
def test_a_package_signed_with_the_key_is_taken(sign: Sign, key: SigningKey, tmp_path: Path) -> None:
    done = verify(sign(MEMBERS, key), key, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@both_kinds
@pytest.mark.parametrize("unsigned_deb", ["refuse", "accept"])
def test_a_package_signed_with_another_key_is_refused(
    sign: Sign, key: SigningKey, stranger: SigningKey, tmp_path: Path, unsigned_deb: str
) -> None:
    done = verify(sign(MEMBERS, stranger), key, tmp_path, unsigned_deb)

    assert done.returncode == 1
    assert "is not of the pinned key" in done.stderr


@both_kinds
@pytest.mark.parametrize("member", list(MEMBERS))
def test_a_package_that_was_changed_is_refused(
    sign: Sign, key: SigningKey, tmp_path: Path, member: str
) -> None:
    signed = sign(MEMBERS, key)
    content = MEMBERS[member]
    changed = signed.replace(content, bytes([content[0] ^ 1]) + content[1:], 1)
    assert changed != signed

    assert verify(changed, key, tmp_path).returncode == 1


@both_kinds
def test_a_member_that_nobody_signed_is_refused(sign: Sign, key: SigningKey, tmp_path: Path) -> None:
    more = unsigned({"data.tar.xz": b"more"}).removeprefix(b"!<arch>\n")

    assert verify(sign(MEMBERS, key) + more, key, tmp_path).returncode == 1


def test_an_unsigned_package_is_taken_only_when_the_manifest_says_so(key: SigningKey, tmp_path: Path) -> None:
    refused = verify(unsigned(MEMBERS), key, tmp_path)

    assert refused.returncode == 1
    assert "it carries no signature; `dcv-unsigned-deb: accept`" in refused.stderr
    assert verify(unsigned(MEMBERS), key, tmp_path, "accept").returncode == 0


def test_what_is_no_package_is_one_message(key: SigningKey, tmp_path: Path) -> None:
    done = verify(b"<html>not found</html>", key, tmp_path)

    assert (done.returncode, done.stderr) == (1, "package.deb: it is no Debian package\n")


def test_a_key_is_found_in_both_forms(key: SigningKey) -> None:
    binary = verified_key(key.public, key.fingerprint, PARAMETER)

    assert binary == key.run("--export")
    assert verified_key(binary, key.fingerprint, PARAMETER) == binary
    assert verified_key(armoured(binary), key.fingerprint, PARAMETER) == binary


def test_a_file_with_a_second_key_is_refused(key: SigningKey, stranger: SigningKey) -> None:
    both = key.run("--export") + stranger.run("--export")

    with pytest.raises(UserError, match="dcv-signing-key-fingerprint"):
        verified_key(both, key.fingerprint, PARAMETER)


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x99\x01", b"\xc6\xff", bytes(100)])
def test_what_is_no_key_is_one_message(content: bytes) -> None:
    with pytest.raises(UserError, match="holds no OpenPGP public key"):
        verified_key(content, "A" * 40, PARAMETER)
