"""The referrers API in front of a registry that has none (OCI distribution-spec, Listing referrers)."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from .exchange import Forward, Reply, Request, parse_path

_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Referrers:
    """A rule of a `Proxy`.

    Attributes:
        page: entries of an answer at most.
        forged: lists in place of the true ones, by digest of the subject.
    """

    page: int = 100
    forged: Mapping[str, bytes] = field(default_factory=dict)
    _known: defaultdict[str, list[dict[str, object]]] = field(default_factory=lambda: defaultdict(list))

    async def __call__(self, request: Request, forward: Forward) -> Reply:
        place = parse_path(request.path)
        if place and place.kind == "referrers":
            return self._list(request, place.name)
        if place is None or place.kind != "manifests" or request.method != "PUT":
            return await forward(request)
        raw = await request.read()
        whole = Request.own("PUT", request.target, request.headers.get("Host", ""), raw)
        whole.headers["Content-Type"] = request.headers["Content-Type"]
        reply = await forward(whole)
        manifest = json.loads(raw)
        if reply.status == 201 and "subject" in manifest:
            entry = {"mediaType": manifest["mediaType"], "size": len(raw)}
            entry["digest"] = reply.headers["Docker-Content-Digest"]
            subject = manifest["subject"]["digest"]
            if entry not in self._known[subject]:
                self._known[subject].append(entry)
            reply.headers["OCI-Subject"] = subject
        return reply

    def _list(self, request: Request, subject: str) -> Reply:
        headers = {"Content-Type": _INDEX}
        if subject in self.forged:
            return Reply.of(200, headers, self.forged[subject])
        begin = int(request.query.get("begin", "0"))
        entries = self._known[subject]
        if begin + self.page < len(entries):
            headers["Link"] = f'<{request.path}?begin={begin + self.page}>; rel="next"'
        shown = entries[begin : begin + self.page]
        body = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": shown}).encode()
        return Reply.of(200, headers, body)
