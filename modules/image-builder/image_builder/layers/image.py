"""The library: an image of which each layer is one call.

hello = Image("hello-world").stage("python", "3.11-slim").entrypoint(["echo", "Hello world!"])
hello.request()      # what POST /jobs/images/create takes
hello.dockerfile()   # the same as a Dockerfile
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from .dockerfile import AnyLayer, render
from .local_files import MAX_LOCAL_INLINE, digest_of_file, mode_of
from .models import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from .mounts import BindMount, CacheMount, TmpfsMount
from .request import ImageRequest, InlineFile, Registry, RequestFile, UploadedFile

Scalar = str | int | float | bool


class Image:
    """An image under construction; every call adds a layer and gives the image itself.

    A layer that is wrong raises pydantic's ValidationError in its own call.

    Args:
        name: repository of the image.
        tag: its tag.
        registry: where it goes; without it, to the registry of the service.

    Attributes:
        uploads: files of this machine that `Client.order` uploads, by digest: too large for a request.
    """

    def __init__(self, name: str, tag: str = "latest", *, registry: Registry | None = None) -> None:
        self.name = name
        self.tag = tag
        self.registry = registry
        self.layers: list[AnyLayer] = []
        self.files: dict[str, RequestFile] = {}
        self.uploads: dict[str, Path] = {}

    @property
    def full_name(self) -> str:
        """Name and tag."""
        return f"{self.name}:{self.tag}"

    def request(self) -> ImageRequest:
        """The image as a request.

        Raises:
            pydantic.ValidationError: the layers do not make an image, for want of a stage for instance.
        """
        return ImageRequest(
            name=self.name, tag=self.tag, layers=self.layers, registry=self.registry, files=self.files
        )

    def dockerfile(self) -> str:
        """The image as a Dockerfile."""
        return render(self.layers)

    def file(self, path: str, content: bytes | Path, mode: str = "0644") -> Self:
        """Have a file for `copy` and `add` by this path; from the disk when a Path is given.

        One on the disk that is larger than a MiB stays there: the request names it by its digest.

        Raises:
            OSError: it cannot be read.
        """
        if isinstance(content, Path) and content.stat().st_size > MAX_LOCAL_INLINE:
            digest = digest_of_file(content)
            self.uploads[digest] = content
            self.files[path] = UploadedFile(digest=digest, mode=mode)
        else:
            data = content.read_bytes() if isinstance(content, Path) else content
            self.files[path] = InlineFile(content=base64.b64encode(data).decode(), mode=mode)
        return self

    def stage(
        self, base: str, tag: str | None = None, alias: str | None = None, platform: str | None = None
    ) -> Self:
        """FROM."""
        return self._with(Stage(base=base, tag=tag, alias=alias, platform=platform))

    def add(
        self,
        source: str,
        destination: str,
        user_id: str | None = None,
        group_id: str | None = None,
        permissions: str | None = None,
        checksum: str | None = None,
        link: bool = False,
    ) -> Self:
        """ADD."""
        return self._with(
            Add(
                source=source,
                destination=destination,
                permissions=permissions,
                checksum=checksum,
                link=link,
                user_id=user_id,
                group_id=group_id,
            )
        )

    def copy(
        self,
        source: str | Path,
        destination: str,
        user_id: str | None = None,
        group_id: str | None = None,
        permissions: str | None = None,
        from_layer: str | None = None,
        link: bool = False,
    ) -> Self:
        """COPY; a Path is a file on the disk, which becomes one of the request's by its name."""
        if isinstance(source, Path):
            self.file(source.name, source, mode_of(source))
        return self._with(
            Copy(
                source=source.name if isinstance(source, Path) else source,
                destination=destination,
                permissions=permissions,
                from_layer=from_layer,
                link=link,
                user_id=user_id,
                group_id=group_id,
            )
        )

    def arg(self, name: str, default: Scalar | None = None) -> Self:
        """ARG."""
        return self._with(Arg.model_validate({"name": name, "default": default}))

    def cmd(self, command: Sequence[Scalar]) -> Self:
        """CMD."""
        return self._with(Cmd.model_validate({"command": list(command)}))

    def entrypoint(self, command: Sequence[Scalar]) -> Self:
        """ENTRYPOINT."""
        return self._with(Entrypoint.model_validate({"command": list(command)}))

    def env(self, keys: Sequence[str], values: Sequence[Scalar]) -> Self:
        """ENV."""
        return self._with(Env.model_validate({"keys": list(keys), "values": list(values)}))

    def expose(self, ports: Sequence[int | str]) -> Self:
        """EXPOSE."""
        return self._with(Expose(ports=list(ports)))

    def healthcheck(
        self,
        command: Sequence[Scalar],
        interval: float | None = None,
        timeout: float | None = None,
        start_period: float | None = None,
        retries: int | None = None,
    ) -> Self:
        """HEALTHCHECK; times in seconds."""
        return self._with(
            Healthcheck(
                command=Cmd.model_validate({"command": list(command)}),
                interval=interval,
                timeout=timeout,
                start_period=start_period,
                retries=retries,
            )
        )

    def label(self, name: str, value: str) -> Self:
        """LABEL."""
        return self._with(Label(name=name, value=value))

    def maintainer(self, author: str) -> Self:
        """MAINTAINER."""
        return self._with(Maintainer(author=author))

    def onbuild(self, instruction: Instruction) -> Self:
        """ONBUILD."""
        return self._with(OnBuild(instruction=instruction))

    def run(
        self,
        command: str,
        mount: BindMount | CacheMount | TmpfsMount | None = None,
        network: Literal["default", "none"] | None = None,
    ) -> Self:
        """RUN."""
        return self._with(Run(command=command, mount=mount, network=network))

    def shell(self, executable: str, parameters: Sequence[Scalar] | None = None) -> Self:
        """SHELL."""
        given = None if parameters is None else list(parameters)
        return self._with(Shell.model_validate({"executable": executable, "parameters": given}))

    def stopsignal(self, signal: int | str) -> Self:
        """STOPSIGNAL."""
        return self._with(StopSignal(signal=signal))

    def user(self, user_id: str, group_id: str | None = None) -> Self:
        """USER."""
        return self._with(User(user_id=user_id, group_id=group_id))

    def volume(self, paths: Sequence[str]) -> Self:
        """VOLUME."""
        return self._with(Volume(paths=list(paths)))

    def workdir(self, path: str) -> Self:
        """WORKDIR."""
        return self._with(Workdir(path=path))

    def _with(self, layer: AnyLayer) -> Self:
        self.layers.append(layer)
        return self
