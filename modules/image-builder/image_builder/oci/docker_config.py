"""Credentials of docker's configuration file, as `docker login` leaves them there.

`auths`, and the credential helpers of `credHelpers` and `credsStore` (docker CLI reference, docker
login, Credential stores): programs that are told a host on stdin and answer with JSON.
"""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

from ..shared.errors import UserError
from .credentials import Credentials

_NAME = re.compile(r"[\w.-]+")
_DOCKER_HUB = "https://index.docker.io/v1/"  # what the file calls docker.io
_HELPER_TIMEOUT = 30.0  # seconds
_TOKEN_USER = "<token>"  # noqa: S105 - what a helper says for an identity token


class DockerConfig:
    """Credentials by host, asked for when a registry wants some, and kept until it refuses them.

    Args:
        path: the file; one that does not exist has no credentials.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: dict[str, Credentials | None] = {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "DockerConfig":
        """The file that docker would use: in DOCKER_CONFIG, else in `~/.docker`."""
        folder = environment.get("DOCKER_CONFIG")
        return cls((Path(folder) if folder else Path.home() / ".docker") / "config.json")

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        """The credentials of `host`; see `CredentialStore`.

        Raises:
            UserError: the file is not what docker writes, or a credential helper fails.
        """
        if refresh or host not in self._kept:
            self._kept[host] = await self._find(host)
        return self._kept[host]

    async def _find(self, host: str) -> Credentials | None:
        config = self._read()
        names = (_DOCKER_HUB, "index.docker.io") if host == "docker.io" else ()
        for name in (host, f"https://{host}", *names):
            helper = _entry(config, "credHelpers").get(name)
            if isinstance(helper, str):
                return await self._ask(helper, name)
            entry = _entry(config, "auths").get(name)
            if isinstance(entry, dict) and entry.get("auth"):
                return self._decoded(str(entry["auth"]), name)
        store = config.get("credsStore")
        if isinstance(store, str) and store:
            return await self._ask(store, names[0] if names else host)
        return None

    def _read(self) -> Mapping[str, object]:
        try:
            config = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise UserError(f"{self.path} is not JSON") from None
        if not isinstance(config, dict):
            raise UserError(f"{self.path} is not a JSON object")
        return config

    def _decoded(self, auth: str, name: str) -> Credentials:
        try:
            username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            raise UserError(f"the entry for {name} in {self.path} holds no user and password")
        return Credentials(username, password.rstrip("\0"))

    async def _ask(self, helper: str, name: str) -> Credentials | None:
        """Ask a credential helper; one that does not know the host answers with a failure."""
        program = f"docker-credential-{helper}"
        if not _NAME.fullmatch(helper):
            raise UserError(f"{self.path} names the credential helper {helper!r}, which is no program's name")
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                "get",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            raise UserError(f"{program}, which {self.path} names for {name}, cannot be run") from None
        try:
            async with asyncio.timeout(_HELPER_TIMEOUT):
                answer, _ = await process.communicate(name.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raise UserError(f"{program} does not answer for {name}") from None
        if process.returncode != 0:
            return None
        try:
            value = json.loads(answer)
            username, secret = value["Username"], value["Secret"]
        except (ValueError, LookupError, TypeError):
            raise UserError(f"{program} answers for {name} with something that is no credentials") from None
        if username == _TOKEN_USER:
            raise UserError(f"{program} has an identity token for {name}, which is not supported")
        return Credentials(str(username), str(secret))


def _entry(config: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}
