"""The layers around every request, from the outside in: load shedding, access log, admission. All are plain ASGI."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import time
from collections.abc import Mapping
from functools import lru_cache

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import AccessPolicy
from api.logs import BufferedJsonLog
from api.metrics import Metrics
from api.problems import ApiProblem

# Probes come every few seconds and must work under overload.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
# Clients that retry immediately would take all processor time: served requests fell from hundreds per second to two.
SHED_DELAY_S = 0.5
SHED_LOG_INTERVAL_S = 1.0
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SLOW_S = 1.0
log = logging.getLogger("rowguard.api")


class LoadSheddingMiddleware:
    """Rejects requests above the concurrency limit with 503, after a pause; they are counted and not read.

    Args:
        app: The next layer.
        metrics: Counts the rejected requests.
        max_concurrent_requests: Requests in flight.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, max_concurrent_requests: int) -> None:
        self._app, self._metrics, self._max_in_flight = app, metrics, max_concurrent_requests
        self._in_flight = 0
        self._unlogged, self._logged_at = 0, 0.0
        self._response = ApiProblem(503, "the server is busy; try again").response()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        if self._in_flight >= self._max_in_flight:
            self._count()
            await asyncio.sleep(SHED_DELAY_S)
            await self._response(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1

    def _count(self) -> None:
        """Count a rejected request, and log the sum once per interval."""
        self._metrics.requests_shed.inc()
        self._unlogged += 1
        now = time.monotonic()
        if now - self._logged_at >= SHED_LOG_INTERVAL_S:
            log.warning("busy", extra={"fields": {"requests_shed": self._unlogged}})
            self._unlogged, self._logged_at = 0, now


class AccessLogMiddleware:
    """Gives each request an id, counts and times it by its route, and logs it.

    Path, query, address and body are not logged: they may hold anything. The client is a hash of the token's subject.
    The status is stored as `scope["state"]["status"]` when the response starts.

    Args:
        app: The next layer.
        metrics: Counts and times the requests.
        log_all: Log every request, not only failed and slow ones.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log_all: bool) -> None:
        self._app, self._metrics, self._log_all = app, metrics, log_all
        self._access_log = BufferedJsonLog(log, "request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            self._access_log.flush()  # the lifespan has ended
            return
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        scope["state"]["headers"] = headers = dict(scope["headers"])
        request_id = state["request_id"] = _request_id(headers)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # counted as 499
        except Exception as error:
            log.error("unexpected error", exc_info=error, extra={"fields": {"request_id": request_id}})
            if "status" not in state:
                await ApiProblem(500, "unexpected error").response()(scope, receive, send_with_id)
            state["status"] = 500
        finally:
            self._finish(scope, state.get("status", 499), time.perf_counter() - started)

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.observe(scope["method"], route, status, seconds)
        is_notable = status >= 400 or seconds > SLOW_S
        if not is_notable and (not self._log_all or route in PROBES):
            return
        fields = {
            "request_id": scope["state"]["request_id"],
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        client = scope["state"].get("client")
        if client is not None:
            fields["client"] = _hash(client)
        self._access_log.write(logging.WARNING if status >= 500 else logging.INFO, fields)


@lru_cache(maxsize=1_024)
def _hash(client: str) -> str:
    return hashlib.sha256(client.encode()).hexdigest()[:12]


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and ACCEPTED_ID.fullmatch(given.decode("latin-1")):
        return given.decode("latin-1")
    # An id is no secret, so it does not need the kernel's randomness as uuid4() does.
    return f"{random.getrandbits(128):032x}"


class AdmissionMiddleware:
    """Applies the access policy before the body is read; then bounds the body's size and the request's time.

    Args:
        app: The next layer.
        policy: Decides which requests are admitted.
        max_body_bytes: Largest body.
        timeout_s: Longest request, arrival of the body included.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy, max_body_bytes: int, timeout_s: float) -> None:
        self._app, self._policy = app, policy
        self._max_body_bytes, self._timeout_s = max_body_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = scope["state"]["headers"]
        bytes_read, is_complete = 0, False

        async def receive_bounded() -> Message:
            nonlocal bytes_read, is_complete
            message = await receive()
            if message["type"] == "http.request":
                bytes_read += len(message.get("body", b""))
                if bytes_read > self._max_body_bytes:
                    # Starlette's class: FastAPI turns any other error while it reads a body into 400.
                    raise HTTPException(413, self._too_large(), headers={"Connection": "close"})
                is_complete = not message.get("more_body", False)
            return message

        try:
            self._policy.check(scope, headers)
            if int(headers.get(b"content-length", b"0")) > self._max_body_bytes:
                raise ApiProblem(413, self._too_large(), headers={"Connection": "close"})
            async with asyncio.timeout(self._timeout_s):
                await self._app(scope, receive_bounded, send)
        except ApiProblem as problem:
            await problem.response()(scope, receive, send)
        except TimeoutError:
            if "status" in scope["state"]:  # the response has started
                raise
            if is_complete:
                late = ApiProblem(503, f"no answer within {self._timeout_s:g} s; try again")
            else:
                late = ApiProblem(408, "the body did not arrive in time", headers={"Connection": "close"})
            await late.response()(scope, receive, send)

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_body_bytes:,} bytes"
