"""Prometheus metrics."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counters of one application; a registry of its own, so that two applications do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rowguard_http_requests", "Requests.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "rowguard_http_request_seconds", "Duration.", ["route"], buckets=BUCKETS_S, registry=self.registry
        )
        self.turned_away = Counter(
            "rowguard_http_turned_away", "Requests beyond what may be under way.", registry=self.registry
        )
        self.decisions = Counter(
            "rowguard_decisions", "Decisions by flag.", ["endpoint", "flag"], registry=self.registry
        )
        # labels() takes a lock and builds its key anew each time; these names have bounds.
        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._of_decision: dict[tuple[str, str], Counter] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request; by its route, never by its path, which has no bound."""
        method = method if method in METHODS else "other"
        found = self._of_request.get((method, route, status))
        if found is None:
            found = self.requests.labels(method, route, str(status)), self.seconds.labels(route)
            self._of_request[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def decided(self, endpoint: str, flag: str) -> None:
        """One decision."""
        found = self._of_decision.get((endpoint, flag))
        if found is None:
            found = self._of_decision[endpoint, flag] = self.decisions.labels(endpoint, flag)
        found.inc()

    def text(self) -> bytes:
        """What a scrape reads: the sum over all workers."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
