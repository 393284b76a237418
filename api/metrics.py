"""Prometheus metrics."""

from __future__ import annotations

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a separate registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        requests = Counter(
            "rowguard_http_requests", "Requests.", ["method", "route", "status"], registry=self.registry
        )
        duration = Histogram(
            "rowguard_http_request_duration_seconds",
            "Duration of requests.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        decisions = Counter(
            "rowguard_decisions", "Decisions by flag.", ["endpoint", "flag"], registry=self.registry
        )
        self.requests_shed = Counter(
            "rowguard_http_requests_shed", "Requests above the concurrency limit.", registry=self.registry
        )
        # labels() takes a lock and builds its key each time. The sets of these names are small.
        self._requests = cache(requests.labels)
        self._duration = cache(duration.labels)
        self._decisions = cache(decisions.labels)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count and time one request, by its route: paths are not bounded."""
        self._requests(method if method in METHODS else "other", route, status).inc()
        self._duration(route).observe(seconds)

    def count_decision(self, endpoint: str, flag: str) -> None:
        """Count one decision."""
        self._decisions(endpoint, flag).inc()

    def latency(self, route: str) -> tuple[int, float | None, float | None]:
        """Return the count of a route's requests in this worker, and bounds of the median and the 99th percentile.

        A bound is that of the bucket, in seconds; None without requests or above the last bucket.
        """
        buckets = {
            float(sample.labels["le"]): sample.value
            for metric in self._duration(route).collect()
            for sample in metric.samples
            if sample.name.endswith("_bucket")
        }
        count = int(max(buckets.values(), default=0))
        bounds = [
            next((bound for bound, value in sorted(buckets.items()) if value >= part * count), None)
            for part in (0.5, 0.99)
        ]
        median, high = (None if not count or bound == float("inf") else bound for bound in bounds)
        return count, median, high

    def text(self) -> bytes:
        """Return the exposition text: the sum over all workers."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
