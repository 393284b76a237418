"""Back-pressure: so many requests under way, and no more; the rest is turned away at next to no cost."""

from __future__ import annotations

import asyncio
import json
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import MEDIA_TYPE, RETRY_AFTER_S
from api.schemas import Problem

# Probes come every few seconds and must work when everything else waits.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
# Clients that try again at once would otherwise take all the time there is for being refused: with a thousand of
# them served requests fell from hundreds a second to two.
REFUSAL_S = 0.5
LOG_EVERY_S = 1.0
log = logging.getLogger("rowguard.api")


class Gate:
    """Plain ASGI, outermost: a request beyond the bound is refused after a pause, unread, unlogged, counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_requests: int) -> None:
        self._app, self._metrics, self._max_requests = app, metrics, max_requests
        self._running = 0
        self._unlogged, self._logged_at = 0, 0.0
        self._start, self._body = _refusal()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        if self._running >= self._max_requests:
            self._note()
            await asyncio.sleep(REFUSAL_S)
            await send(self._start)
            await send(self._body)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1

    def _note(self) -> None:
        """One line a second, however many there are."""
        self._metrics.turned_away.inc()
        self._unlogged += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            log.warning("busy", extra={"fields": {"turned_away": self._unlogged}})
            self._unlogged, self._logged_at = 0, now


def _refusal() -> tuple[Message, Message]:
    problem = Problem(title="Service Unavailable", status=503, detail="the server is busy; try again")
    body = json.dumps(problem.model_dump(exclude_none=True)).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", RETRY_AFTER_S.encode()),
    ]
    return (
        {"type": "http.response.start", "status": 503, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
