"""Prometheus metrics, and the middleware that measures requests."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


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
        self.decisions = Counter(
            "rowguard_decisions", "Decisions by flag.", ["endpoint", "flag"], registry=self.registry
        )
        self.unscored = Gauge(
            "rowguard_unscored_transactions",
            "Live transactions without a decision, counted up to 100,000; NaN when the database does not answer.",
            registry=self.registry,
        )


class MeasureRequests:
    """Plain ASGI: counts and times each request by its route, never by its path, which has no bound."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def remember(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, remember)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
