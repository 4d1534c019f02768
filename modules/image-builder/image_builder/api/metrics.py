"""What Prometheus can ask for."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..jobs.job import Job, Status


class Metrics:
    """The service's figures, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._accepted = Counter("image_builder_jobs_accepted", "Jobs accepted", registry=self._registry)
        self._refused = Counter(
            "image_builder_jobs_refused", "Requests refused, by limit", ["limit"], registry=self._registry
        )
        self._ended = Counter(
            "image_builder_jobs_ended", "Jobs ended here, by status", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "image_builder_job_seconds",
            "Time from a job's acceptance to its end",
            registry=self._registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800),
        )
        self._open = Gauge(
            "image_builder_jobs", "Jobs that have not ended, by status", ["status"], registry=self._registry
        )
        self._memory = Gauge(
            "image_builder_memory_percent", "Memory of the service and its builds", registry=self._registry
        )

        self._cache = Gauge(
            "image_builder_cache_bytes", "Bytes that later builds use again", registry=self._registry
        )
        self._uploads = Gauge(
            "image_builder_uploads_bytes", "Bytes of all uploads, as announced", registry=self._registry
        )

    def accepted(self) -> None:
        """A job was accepted."""
        self._accepted.inc()

    def refused(self, limit: str) -> None:
        """A request was refused because of a limit."""
        self._refused.labels(limit).inc()

    def ended(self, job: Job) -> None:
        """A job ended."""
        self._ended.labels(job.status.value).inc()
        if job.finished_at is not None:
            self._seconds.observe((job.finished_at - job.created_at) / 1000)

    def text(self, open_jobs: Mapping[Status, int], memory_percent: float, cache: int, uploads: int) -> bytes:
        """All figures in Prometheus' text format."""
        for status, count in open_jobs.items():
            self._open.labels(status.value).set(count)
        self._memory.set(memory_percent)
        self._cache.set(cache)
        self._uploads.set(uploads)
        return generate_latest(self._registry)
