"""Gives a container the `/proc` that its pod asks for: called before runc, for each new container.

The kubelet asks for `procMount: Unmasked` by an empty list of paths to hide. On its way to docker an empty
list becomes none, for which docker takes its own. (With containerd the list arrives as it is.)

Usage: unmasked.py BUNDLE CONTAINERS API-URL CA-FILE TOKENS-FILE
"""

import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LABELS = "io.kubernetes."


def is_unmasked(labels: dict[str, str], pod: dict[str, Any]) -> bool:
    """Whether the pod says so of the container with these labels."""
    name = labels[f"{LABELS}container.name"]
    (container,) = [item for item in pod["spec"]["containers"] if item["name"] == name]
    return (container.get("securityContext") or {}).get("procMount") == "Unmasked"


def unmask(config: Path) -> None:
    """Hide nothing of `/proc`, and let all of it be written by who may."""
    specification = json.loads(config.read_text("utf-8"))
    specification["linux"]["maskedPaths"] = specification["linux"]["readonlyPaths"] = []
    config.write_text(json.dumps(specification), encoding="utf-8")


def pod_of(labels: dict[str, str], url: str, authority: str, token: str) -> dict[str, Any] | None:
    """The container's pod; None when it is gone."""
    namespace, name = labels[f"{LABELS}pod.namespace"], labels[f"{LABELS}pod.name"]
    request = urllib.request.Request(
        f"{url}/api/v1/namespaces/{namespace}/pods/{name}", headers={"Authorization": f"Bearer {token}"}
    )
    context = ssl.create_default_context(cafile=authority)
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def main(bundle: Path, containers: Path, url: str, authority: str, tokens: Path) -> None:
    """Change the bundle's configuration when the pod asks for it."""
    known = json.loads((containers / bundle.name / "config.v2.json").read_text("utf-8"))
    labels = known["Config"].get("Labels") or {}
    # The first container of a pod, which holds its network, is none of the pod's own.
    if labels.get(f"{LABELS}docker.type") != "container":
        return
    pod = pod_of(labels, url, authority, tokens.read_text("utf-8").split(",")[0])
    if pod is not None and is_unmasked(labels, pod):
        unmask(bundle / "config.json")


if __name__ == "__main__":
    _, folder, known_containers, api, trusted, tokens_file = sys.argv
    main(Path(folder), Path(known_containers), api, trusted, Path(tokens_file))
