"""A machine in the machine: processes, mounts and network of its own, which all go when it goes."""

import ipaddress
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import commands
from localcloud.bridge import free_address, one_at_a_time

CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Node:
    """Runs programs in namespaces of its own.

    Attributes:
        name: of its network interface here, and of its control groups.
        init: its first process; everything in it ends with this one.
        here: address by which its programs and pods reach services of this machine.
        address: its own, by which this machine reaches its programs.
        pods: network of its containers; this machine reaches them too.
    """

    name: str
    init: int
    here: str
    address: str
    pods: ipaddress.IPv4Network
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a program in it."""
        return ["nsenter", f"--target={self.init}", "--net", "--mount", "--pid", "--", *command]

    def start(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        """Start a program in it, until the node ends."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.inside(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def run(self, *command: str) -> str:
        """Run a program in it to its end; what it printed."""
        return commands.run(self.inside(command))


@contextmanager
def running_node() -> Iterator[Node]:
    """Make one; afterwards nothing of it is left."""
    name = f"kube{uuid.uuid4().hex[:8]}"
    # The kernel ends every process of a process namespace whose first one ends, however that happens; and
    # the first one when the test run ends.
    unshare = [
        "setpriv",
        "--pdeathsig=KILL",
        "unshare",
        "--net",
        "--mount",
        "--propagation=private",
        "--pid",
        "--fork",
        "--kill-child",
    ]
    script = "echo $$ && exec sleep infinity"
    with subprocess.Popen(
        [*unshare, "--mount-proc", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as outer:
        try:
            assert outer.stdout is not None
            assert outer.stdout.readline(), "no namespaces can be made here"
            node = _connected(name, _child_of(outer.pid))
            yield node
        finally:
            outer.kill()
            outer.wait()
            with suppress(UnboundLocalError):
                for process in node.processes:
                    process.wait()
            _remove_cgroups(name)


def _child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return int(children[0])


def _connected(name: str, init: int) -> Node:
    """Two ends of a cable, one here and one in the node. This end goes with the node."""
    with one_at_a_time():
        network = ipaddress.IPv4Interface(free_address()).network
        here, address = str(network[1]), str(network[2])
        pods = list(network.subnets(prefixlen_diff=1))[1]
        commands.run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(init)])
        commands.run(["ip", "address", "add", f"{here}/30", "dev", name])
        commands.run(["ip", "link", "set", name, "up"])
        commands.run(["ip", "route", "add", str(pods), "via", address, "dev", name, "onlink"])
    node = Node(name, init, here, address, pods)
    for arguments in (
        ["address", "add", f"{address}/30", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["link", "set", "lo", "up"],
        ["route", "add", "default", "via", here],
    ):
        node.run("ip", *arguments)
    # Before docker does it, which would forbid this machine the way to the containers.
    node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    return node


def _remove_cgroups(name: str) -> None:
    for folder in [CGROUPS, *CGROUPS.glob("*/")]:
        below = sorted((folder / name).glob("**/"), key=lambda path: len(path.parts), reverse=True)
        for group in below:
            with suppress(OSError):
                group.rmdir()
