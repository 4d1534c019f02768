"""The session user's account, in files that a read-only root file system leaves writable.

In the image `/etc/passwd`, `/etc/group` and `/etc/shadow` are links into one folder (`accounts.sh` makes
them), so that this folder alone has to be writable. useradd(8) and chpasswd(8) lock and write in `/etc`
itself, and take no password with a line break, so the lines are written here (passwd(5), shadow(5)).
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .credentials import Credentials
from .errors import StartError

ETC = Path("/etc")
FOLDER = Path("/var/lib/dcv-image/accounts")
TEMPLATE = Path("/usr/share/dcv-image/accounts")
HOMES = Path("/home")
SHELL = "/bin/bash"
FIRST_ID = 1000  # what lies below belongs to the system (login.defs(5))
# Days since 1970 of the password's last change: a fixed day, since it says nothing here.
CHANGED = "19000"


@dataclass(frozen=True)
class Account:
    """A user of this container."""

    name: str
    uid: int
    gid: int
    home: Path


class AccountFiles:
    """The account files below one `/etc`."""

    def __init__(self, etc: Path = ETC, folder: Path = FOLDER, template: Path = TEMPLATE) -> None:
        self._etc = etc
        self._folder = folder
        self._template = template

    def fill(self) -> None:
        """Put the image's own account files into the folder, when an empty volume is mounted there.

        Raises:
            StartError: the folder cannot be written.
        """
        if not self._template.is_dir():
            return
        try:
            for source in sorted(self._template.iterdir()):
                target = self._folder / source.name
                if not target.exists():
                    shutil.copyfile(source, target)
                    target.chmod(stat.S_IMODE(source.stat().st_mode))
        except OSError as error:
            raise _unwritable(self._folder, error) from None

    def find(self, name: str) -> Account | None:
        """The account of that name."""
        for fields in self._lines("passwd"):
            if fields[0] == name:
                return Account(name, int(fields[2]), int(fields[3]), Path(fields[5]))
        return None

    def ensure(self, credentials: Credentials) -> Account:
        """Make the account, or give the one of that name this password.

        Raises:
            StartError: the name belongs to the system, or the files cannot be written.
        """
        account = self.find(credentials.user)
        if account is not None and account.uid < FIRST_ID:
            raise StartError(
                f"dcv-sm-name: the UserName {credentials.user!r} is an account of the operating system; "
                "give the secret another UserName"
            )
        try:
            if account is None:
                account = self._add(credentials.user)
            self._set(
                "shadow", account.name, [_hash(credentials.password), CHANGED, "0", "99999", "7", "", "", ""]
            )
        except OSError as error:
            raise _unwritable(self._folder, error) from None
        return account

    def _add(self, name: str) -> Account:
        taken = {int(fields[2]) for file in ("passwd", "group") for fields in self._lines(file)}
        number = next(candidate for candidate in range(FIRST_ID, 60000) if candidate not in taken)
        home = HOMES / name
        self._set("group", name, ["x", str(number), ""])
        self._set("passwd", name, ["x", str(number), str(number), "", str(home), SHELL])
        return Account(name, number, number, home)

    def _lines(self, file: str) -> list[list[str]]:
        text = (self._etc / file).read_text(encoding="utf-8")
        return [line.split(":") for line in text.splitlines() if line.count(":") > 1]

    def _set(self, file: str, account: str, values: list[str]) -> None:
        """Replace or append one entry, so that no reader ever sees half a file."""
        path = (self._etc / file).resolve()
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.split(":", 1)[0] != account]
        content = "\n".join([*kept, ":".join([account, *values])]) + "\n"
        before = path.stat()
        descriptor, name = tempfile.mkstemp(dir=str(path.parent), prefix=f".{file}-")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as written:
                written.write(content)
            temporary.chmod(stat.S_IMODE(before.st_mode))
            os.chown(temporary, before.st_uid, before.st_gid)
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def make_home(account: Account) -> None:
    """The user's home and run-time folder (`XDG_RUNTIME_DIR`), which nobody else reads.

    Raises:
        StartError: they cannot be made.
    """
    for folder in (account.home, Path("/run/user") / str(account.uid)):
        try:
            folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not folder.is_dir():
                folder.mkdir(mode=0o700)
        except OSError as error:
            raise StartError(
                f"{folder} cannot be made: {error.strerror}; mount a writable volume at {folder.parent}"
            ) from None
        if folder.stat().st_uid != account.uid:
            give(folder, account)


def give(path: Path, account: Account) -> None:
    """Make the account the owner.

    Raises:
        StartError: this may not be done.
    """
    try:
        os.chown(path, account.uid, account.gid)
    except PermissionError:
        raise StartError(
            f"{path} cannot be given to the user {account.name}: the capability CHOWN is needed"
        ) from None


def _hash(password: str) -> str:
    """SHA-512 crypt with a salt of its own. Every supported base has a Python below 3.13, which lost it."""
    import crypt

    return str(crypt.crypt(password, crypt.mksalt(crypt.METHOD_SHA512)))


def _unwritable(folder: Path, error: OSError) -> StartError:
    return StartError(
        f"the account files cannot be written ({error.strerror}); "
        f"with a read-only root mount a writable volume at {folder}"
    )
