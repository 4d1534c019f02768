"""A cluster's name server: Services by `name.namespace.svc.cluster.local`, asked of the API server each time.

Usage: dns_server.py ADDRESS API-URL CA-FILE TOKENS-FILE
"""

import json
import socket
import ssl
import struct
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOMAIN = ("svc", "cluster", "local")
A, INTERNET, SECONDS = 1, 1, 5
NO_ERROR, NO_SUCH_NAME = 0, 3
HEADER = struct.Struct("!6H")  # id, flags, questions, answers, authorities, additional (RFC 1035, 4.1.1)

Lookup = Callable[[str, str], list[str] | None]


def serve(address: str, lookup: Lookup) -> None:
    """Answer until ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            question, client = server.recvfrom(512)
            server.sendto(answered(question, lookup), client)


def answered(packet: bytes, lookup: Lookup) -> bytes:
    """The answer to a question: IPv4 addresses, or that there is no such name."""
    number = HEADER.unpack_from(packet)[0]
    labels, end = _labels(packet, HEADER.size)
    kind = struct.unpack_from("!H", packet, end)[0]
    question = packet[HEADER.size : end + 4]
    found = _found(labels, lookup)
    addresses = (found or []) if kind == A else []
    status = NO_SUCH_NAME if found is None else NO_ERROR
    # An authoritative answer (0x8400) that repeats the wish for recursion (0x0100), which is there (0x0080).
    header = HEADER.pack(number, 0x8580 | status, 1, len(addresses), 0, 0)
    answers = [
        struct.pack("!HHHIH", 0xC000 | HEADER.size, A, INTERNET, SECONDS, 4) + socket.inet_aton(address)
        for address in addresses
    ]
    return header + question + b"".join(answers)


def _labels(packet: bytes, at: int) -> tuple[list[str], int]:
    labels = []
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    return labels, at + 1


def _found(labels: list[str], lookup: Lookup) -> list[str] | None:
    # The pods of a service without an address of its own have names in front of the service's.
    if tuple(labels[-3:]) != DOMAIN or len(labels) not in (5, 6):
        return None
    return lookup(labels[-5], labels[-4])


def services(url: str, authority: str, token: str) -> Lookup:
    """Addresses of a service: its own, or those of its pods."""
    context = ssl.create_default_context(cafile=authority)

    def get(namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        address = f"{url}/api/v1/namespaces/{namespace}/{kind}/{name}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (urllib.error.URLError, OSError):
            return None

    def lookup(name: str, namespace: str) -> list[str] | None:
        service = get(namespace, "services", name)
        if service is None:
            return None
        own = service["spec"].get("clusterIP")
        if own and own != "None":
            return [own]
        endpoints = get(namespace, "endpoints", name) or {}
        subsets = endpoints.get("subsets") or []
        return [item["ip"] for subset in subsets for item in subset.get("addresses") or ()]

    return lookup


if __name__ == "__main__":
    _, listen, api, trusted, tokens = sys.argv
    serve(listen, services(api, trusted, Path(tokens).read_text("utf-8").split(",")[0]))
