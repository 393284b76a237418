"""Around every request: load shedding, request id, admission, limits of body and time, metrics and access log."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import time
from functools import lru_cache

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import AccessPolicy
from api.metrics import Metrics
from api.problems import ApiProblem
from rowguard.settings import Settings

# Probes come every few seconds and must work under overload.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
# Clients that retry immediately would take all processor time: served requests fell from hundreds per second to two.
SHED_DELAY_S = 0.5
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SLOW_S = 1.0
CLOSE = {"Connection": "close"}
log = logging.getLogger("rowguard.api")


class RequestMiddleware:
    """Admits requests within the limits, and counts, times and logs each of them by its route.

    One class of plain ASGI: every layer costs processor time in every request. Path, query, address and body are not
    logged: they may hold anything. The client is a hash of the token's subject.

    Args:
        app: The application.
        policy: Decides which requests are admitted.
        metrics: Counts and times the requests.
        settings: Limits of concurrency, body size and time; what is logged.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy, metrics: Metrics, settings: Settings) -> None:
        self._app, self._policy, self._metrics = app, policy, metrics
        self._max_in_flight = settings.api_max_concurrent_requests
        self._max_body_bytes, self._timeout_s = settings.api_max_body_bytes, settings.api_request_timeout_s
        self._log_all = settings.api_access_log == "all"
        self._in_flight = 0
        self._busy = ApiProblem(503, "the server is busy; try again").response()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_probe = scope["path"] in PROBES
        if self._in_flight >= self._max_in_flight and not is_probe:
            self._metrics.requests_shed.inc()
            await asyncio.sleep(SHED_DELAY_S)
            await self._busy(scope, receive, send)
            return
        self._in_flight += not is_probe
        try:
            await self._serve(scope, receive, send)
        finally:
            self._in_flight -= not is_probe

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        exchange = _Exchange(receive, send, _request_id(headers), self._max_body_bytes)
        client = problem = None
        try:
            client = self._policy.check(scope, headers)
            if int(headers.get(b"content-length", b"0")) > self._max_body_bytes:
                raise ApiProblem(413, _too_large(self._max_body_bytes), headers=CLOSE)
            async with asyncio.timeout(self._timeout_s):
                await self._app(scope, exchange.receive, exchange.send)
        except ApiProblem as error:
            problem = error
        except ClientDisconnect:
            pass  # counted as 499
        except Exception as error:
            if isinstance(error, TimeoutError) and exchange.status is None:
                problem = self._late(exchange)
            else:
                log.error(
                    "unexpected error", exc_info=error, extra={"fields": {"request_id": exchange.request_id}}
                )
                problem = ApiProblem(500, "unexpected error")
        finally:
            if problem is not None:
                if exchange.status is None:
                    await problem.response()(scope, receive, exchange.send)
                exchange.status = problem.status
            self._finish(scope, exchange, client, time.perf_counter() - started)

    def _late(self, exchange: _Exchange) -> ApiProblem:
        if exchange.is_complete:
            return ApiProblem(503, f"no response within {self._timeout_s:g} s; try again")
        return ApiProblem(408, "the body did not arrive in time", headers=CLOSE)

    def _finish(self, scope: Scope, exchange: _Exchange, client: str | None, seconds: float) -> None:
        route, method = getattr(scope.get("route"), "path", "unknown"), scope["method"]
        status = exchange.status or 499
        self._metrics.observe(method, route, status, seconds)
        if status >= 400 or seconds > SLOW_S or (self._log_all and route not in PROBES):
            fields = {
                "request_id": exchange.request_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
            } | ({} if client is None else {"client": _hash(client)})
            log.log(logging.WARNING if status >= 500 else logging.INFO, "request", extra={"fields": fields})


class _Exchange:
    """The messages of one request: bounds the body, adds the request id, and keeps the status of the response."""

    __slots__ = ("_bytes_read", "_max_bytes", "_receive", "_send", "is_complete", "request_id", "status")

    def __init__(self, receive: Receive, send: Send, request_id: str, max_body_bytes: int) -> None:
        self._receive, self._send, self.request_id = receive, send, request_id
        self._bytes_read, self._max_bytes = 0, max_body_bytes
        self.status: int | None = None
        self.is_complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes_read += len(message.get("body", b""))
            if self._bytes_read > self._max_bytes:
                # Starlette's class: FastAPI turns any other error while it reads a body into 400.
                raise HTTPException(413, _too_large(self._max_bytes), headers=CLOSE)
            self.is_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
        await self._send(message)


def _too_large(max_bytes: int) -> str:
    return f"the body is larger than {max_bytes:,} bytes"


@lru_cache(maxsize=1_024)
def _hash(client: str) -> str:
    return hashlib.sha256(client.encode()).hexdigest()[:12]


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and ACCEPTED_ID.fullmatch(given.decode("latin-1")):
        return given.decode("latin-1")
    # An id is no secret, so it does not need the kernel's randomness as uuid4() does.
    return f"{random.getrandbits(128):032x}"
