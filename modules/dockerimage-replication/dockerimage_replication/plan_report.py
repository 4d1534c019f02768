"""What `plan` prints."""

from collections.abc import Iterable, Iterator, Mapping

from .charts.oci import SCHEME
from .proof.proof import Proof, RenderedImage
from .resolve import Image, Reason, Resolution, ResolvedChart


def copied(resolution: Resolution) -> dict[str, object]:
    """What is copied, and why, for programs."""
    charts = {chart.workload.key: chart for chart in resolution.charts}
    return {
        "charts": [_chart(chart) for chart in resolution.charts],
        "images": [_image(image, charts) for image in resolution.images],
        "problems": [],
    }


def planned(resolution: Resolution, proof: Proof) -> dict[str, object]:
    """The plan, for programs."""
    return {
        **copied(resolution),
        "proof": {
            "helm": proof.helm.version if proof.helm else None,
            "skipped": proof.skipped,
            "images": [_rendered(image) for image in proof.images],
            "warnings": list(proof.warnings),
        },
    }


def failed(problems: list[str]) -> dict[str, object]:
    """The plan when there are problems: nothing would be copied."""
    return {"charts": [], "images": [], "proof": None, "problems": problems}


def readable(resolution: Resolution, proof: Proof) -> str:
    """The plan, for people."""
    charts = {chart.workload.key: chart for chart in resolution.charts}
    lines = [f"charts: {len(resolution.charts)}"]
    for chart in resolution.charts:
        lines += [
            f"  {chart.workload.chart} {chart.version}  from {chart.workload.repository}",
            f"    to {SCHEME}{chart.private}",
            f"    for workload {chart.workload.key}",
        ]
    lines.append(f"images: {len(resolution.images)}")
    for image in resolution.images:
        lines += _image_lines(image, charts)
    return "\n".join([*lines, *_proof_lines(proof)])


def _chart(chart: ResolvedChart) -> dict[str, object]:
    return {
        "workload": chart.workload.key,
        "name": chart.workload.chart,
        "version": chart.version,
        "source": chart.workload.repository,
        "private": chart.private,
    }


def _image(image: Image, charts: Mapping[str, ResolvedChart]) -> dict[str, object]:
    return {
        "source": image.source,
        "address": str(image.address),
        "private": image.private,
        "reasons": [_reason(reason, charts) for reason in image.reasons],
    }


def _reason(reason: Reason, charts: Mapping[str, ResolvedChart]) -> dict[str, object]:
    if reason.workload is None:
        return {"additional_image": reason.image}
    chart = charts[reason.workload]
    return {
        "workload": reason.workload,
        "chart": chart.workload.chart,
        "version": chart.version,
        "image": reason.image,
        "paths": list(reason.paths),
    }


def _image_lines(image: Image, charts: Mapping[str, ResolvedChart]) -> Iterator[str]:
    yield f"  {image.source}"
    if str(image.address) != image.source:
        yield f"    from {image.address}"
    yield f"    to {image.private}"
    yield from (f"    {why}" for why in _why(image.reasons, charts))


def _why(reasons: Iterable[Reason], charts: Mapping[str, ResolvedChart]) -> Iterator[str]:
    for reason in reasons:
        if reason.workload is None:
            yield f"for additional_images.{reason.image}"
            continue
        chart = charts[reason.workload]
        values = f", values {', '.join(reason.paths)}" if reason.paths else ""
        label = f"{chart.workload.chart} {chart.version}"
        yield f"for {reason.workload}.{reason.image} (chart {label}{values})"


def _rendered(image: RenderedImage) -> dict[str, object]:
    return {
        "workload": image.workload,
        "image": image.text,
        "places": [{"where": place.where, "why": place.why} for place in image.places],
        "problem": image.problem,
        "accepted": image.accepted,
    }


def _proof_lines(proof: Proof) -> Iterator[str]:
    if proof.helm is None:
        yield f"proof: skipped; {proof.skipped}"
        return
    yield f"proof: rendered with helm {proof.helm.version}, images outside: {len(proof.findings)}"
    for image in proof.images:
        if image.accepted is not None:
            state = f"accepted ({image.accepted})"
        else:
            state = image.problem or "is private"
        yield f"  {image.workload}: {image.text} {state}"
        yield from (f"    at {place.where}: {place.why}" for place in image.places)
    yield from (f"  warning: {warning}" for warning in proof.warnings)
