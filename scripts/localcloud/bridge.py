"""A network bridge of this cloud's own, so that two docker daemons on one machine do not share one.

With docker's default bridge, ending one daemon would take the network from the other's containers.
"""

import fcntl
import hashlib
import ipaddress
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import commands
from .errors import LocalCloudError

# Private ranges (RFC 1918) that docker's own defaults leave alone.
CANDIDATES = [f"10.213.{number}.0/24" for number in range(256)]
_NETWORK = re.compile(r"[\d.]+/\d+")
# Networks belong to the machine, so every cloud on it waits here, whatever its own folders.
LOCK = Path("/run/lock/airgap-modules-bridges")


def name_for(state: Path) -> str:
    """Name of the bridge; an interface has at most 15 characters."""
    return f"airgap{hashlib.sha256(str(state).encode()).hexdigest()[:8]}"


def ensure_bridge(state: Path) -> str:
    """Make the bridge unless it is there; return its name.

    Raises:
        LocalCloudError: every candidate network is in use here.
    """
    name = name_for(state)
    with one_at_a_time():
        if not (Path("/sys/class/net") / name).exists():
            address = free_address()
            commands.run(["ip", "link", "add", name, "type", "bridge"])
            commands.run(["ip", "address", "add", address, "dev", name])
        commands.run(["ip", "link", "set", name, "up"])
    return name


def remove_bridge(state: Path) -> None:
    """Remove the bridge and the packet filter's rules that name it or its network."""
    name = name_for(state)
    if not (Path("/sys/class/net") / name).exists():
        return
    addresses = commands.run(["ip", "-oneline", "-4", "address", "show", "dev", name]).split()
    network = str(ipaddress.ip_interface(addresses[addresses.index("inet") + 1]).network)
    for table in ("filter", "nat"):
        for rule in commands.run(["iptables", "--table", table, "--list-rules"]).splitlines():
            words = shlex.split(rule)
            if words[0] == "-A" and (name in words or network in words):
                commands.run(["iptables", "--table", table, "-D", *words[1:]])
    commands.run(["ip", "link", "delete", name])


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two clouds that look for a free network at once would take the same one.

    Containers of both then lose their way out, and the first to end takes the other's rules along.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_address() -> str:
    """The first address of a network that no interface or route of this machine has, as `address/length`.

    An interface that is down has no route; it takes the network back as soon as somebody sets it up. Ask for
    it inside of `one_at_a_time`, and take it there.

    Raises:
        LocalCloudError: every candidate is in use here.
    """
    shown = [commands.run(["ip", "-4", *what, "show"]) for what in (("route",), ("-oneline", "address"))]
    words = [word for text in shown for word in text.split() if _NETWORK.fullmatch(word)]
    used = [ipaddress.ip_network(word, strict=False) for word in words]
    for candidate in CANDIDATES:
        network = ipaddress.ip_network(candidate)
        if not any(network.overlaps(other) for other in used):
            return f"{network[1]}/{network.prefixlen}"
    raise LocalCloudError(f"no free network for containers: {CANDIDATES[0]} to {CANDIDATES[-1]} are in use")
