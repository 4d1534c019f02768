"""What an administrator sets for all builds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..layers.request import Registry
from ..oci.credentials import CredentialStore, StaticCredentials
from ..shared.endpoints import Endpoints

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True)
class Limits:
    """What one build may take.

    Attributes:
        seconds: time, from its beginning to its end.
        memory: bytes of all its processes together.
        disk: bytes that it may write.
        processes: processes and threads at a time; before Linux 5.14 of all builds of a service together.
        log: bytes of output that are kept; what comes after is dropped, and the log says so.
        download: bytes of one URL of an `add` layer.
        unpacked: bytes of all that is copied and unpacked into one image.
        entries: files, folders and links of one archive.
    """

    seconds: float = 1800.0
    memory: int = 2 * GIB
    disk: int = 10 * GIB
    processes: int = 512
    log: int = 16 * MIB
    download: int = 2 * GIB
    unpacked: int = 8 * GIB
    entries: int = 500_000


@dataclass(frozen=True)
class BuildSettings:
    """Settings of the builder.

    Attributes:
        registry: where images go whose request names no registry; None: each request has to.
        work: folder in which builds have their own, removed at their end; an ordinary user's own.
        cache: folder with what later builds use again.
        cache_size: bytes that the cache keeps; what was not used for the longest time goes first.
        bases: named bases, `dcv` or `desktop-<name>`, and their references.
        images: public references and their private copies, from the inventory of replication.
        endpoints: where registries are reached under another address.
        allowed_hosts: hosts, `host` or `host:port`, that lead into the network and may be used as
            registries and for `add`. The service's own registry and the endpoints are allowed anyway.
        credentials: of registries that bases are read from, beside the service's own.
        workers: stages of one build that may run at a time.
        network: what commands of a build can reach: nothing, or what the service can.
        limits: what one build may take.
    """

    work: Path
    cache: Path
    registry: Registry | None = None
    cache_size: int = 20 * GIB
    bases: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    endpoints: Endpoints = field(default_factory=Endpoints)
    allowed_hosts: frozenset[str] = frozenset()
    credentials: CredentialStore = field(default_factory=lambda: StaticCredentials({}))
    workers: int = 1
    network: Literal["none", "service"] = "none"
    limits: Limits = field(default_factory=Limits)
