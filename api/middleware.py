"""Around every request: load shedding, request id, admission, limits of body and time, metrics and access log."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import time
from functools import lru_cache

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import AccessPolicy
from api.logs import AccessLog
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
    logged: they may hold anything. The client is a hash of the token's subject. Endpoints find it as `state.client`,
    and the subject as `state.subject`.

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
        self._access_log = AccessLog(log)
        self._in_flight = 0
        self._busy = ApiProblem(503, "the server is busy; try again").response()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            self._access_log.flush()  # the lifespan has ended
            return
        started = time.perf_counter()
        method, headers = scope["method"], dict(scope["headers"])
        if method == "HEAD":  # is GET; the server leaves the body out
            scope = {**scope, "method": "GET"}
        exchange = _Exchange(receive, send, _request_id(headers))
        client = problem = None
        try:
            subject = self._policy.check(scope, headers)
            client = None if subject is None else _hash(subject)
            scope["state"]["client"] = client
            # Who changed rules, lists and cases is recorded by name, and never logged.
            scope["state"]["subject"] = subject
            if int(headers.get(b"content-length", b"0")) > self._max_body_bytes:
                raise _too_large(self._max_body_bytes)
            async with asyncio.timeout(self._timeout_s) as exchange.deadline:
                # A request counts as in flight from here on: slow bodies take no place of others.
                await exchange.read_body(self._max_body_bytes)
                if not await self._run(scope, exchange):
                    return
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
        if problem is not None:
            exchange.deadline = None
            if exchange.status is None:
                await problem.response()(scope, receive, exchange.send)
            exchange.status = problem.status
        self._finish(scope, method, exchange, client, time.perf_counter() - started)

    async def _run(self, scope: Scope, exchange: _Exchange) -> bool:
        """Run the application; return whether it ran, or the request was shed, which is only counted."""
        if scope["path"] in PROBES:
            await self._app(scope, exchange.receive, exchange.send)
            return True
        if self._in_flight >= self._max_in_flight:
            self._metrics.requests_shed.inc()
            await asyncio.sleep(SHED_DELAY_S)
            await self._busy(scope, exchange.receive, exchange.send)
            return False
        self._in_flight += 1
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            self._in_flight -= 1
        return True

    def _late(self, exchange: _Exchange) -> ApiProblem:
        if exchange.body is not None:
            return ApiProblem(503, f"no response within {self._timeout_s:g} s; try again")
        return ApiProblem(408, "the body did not arrive in time", headers=CLOSE)

    def _finish(
        self, scope: Scope, method: str, exchange: _Exchange, client: str | None, seconds: float
    ) -> None:
        route, status = getattr(scope.get("route"), "path", "unknown"), exchange.status or 499
        if route != "unknown":
            route = scope.get("root_path", "") + route  # the console is mounted
        self._metrics.observe(method, route, status, seconds)
        if status >= 400 or seconds > SLOW_S or (self._log_all and route not in PROBES):
            fields = {
                "request_id": exchange.request_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
            } | ({} if client is None else {"client": client})
            self._access_log.write(logging.WARNING if status >= 500 else logging.INFO, fields)


class _Exchange:
    """The messages of one request: reads its body, adds the request id, and keeps the status of the response."""

    __slots__ = ("_receive", "_send", "body", "deadline", "is_replayed", "request_id", "status")

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive, self._send, self.request_id = receive, send, request_id
        self.body: bytes | None = None
        self.is_replayed = False
        self.status: int | None = None
        self.deadline: asyncio.Timeout | None = None

    async def read_body(self, max_bytes: int) -> None:
        """Read the body.

        Raises:
            ApiProblem: 413; it is too large.
            ClientDisconnect: The client has gone.
        """
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            if not message.get("more_body", False):
                self.body = bytes(body)
                return

    async def receive(self) -> Message:
        if self.is_replayed:
            return await self._receive()
        self.is_replayed = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.deadline is not None:  # from now on the connection's bound of slow readers counts
                self.deadline.reschedule(None)
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
        await self._send(message)


def _too_large(max_bytes: int) -> ApiProblem:
    return ApiProblem(413, f"the body is larger than {max_bytes:,} bytes", headers=CLOSE)


@lru_cache(maxsize=1_024)
def _hash(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:16]


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and ACCEPTED_ID.fullmatch(given.decode("latin-1")):
        return given.decode("latin-1")
    # An id is no secret, so it does not need the kernel's randomness as uuid4() does.
    return f"{random.getrandbits(128):032x}"
