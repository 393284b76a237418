"""The outermost layers of every request: its id, its measure and log line; then who may pass, and bounds."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import time
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access
from api.gate import PROBES
from api.logs import LineLog
from api.metrics import Metrics
from api.problems import ApiProblem

REQUEST_ID = "x-request-id"
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SLOW_S = 1.0
log = logging.getLogger("rowguard.api")


class Record:
    """Plain ASGI: gives each request an id, counts and times it by its route, and logs it.

    The route and never the path, which has no bound and may hold anything; no address, no query, no body. The
    client is a hash of the token's subject, to tell callers apart and not to name them.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log_all: bool) -> None:
        self._app, self._metrics, self._log_all = app, metrics, log_all
        self._lines = LineLog(log, "request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def tag(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, tag)
        except Exception as error:
            log.error("unexpected error", exc_info=error, extra={"fields": {"request_id": request_id}})
            if not status:
                await ApiProblem(500, "unexpected error").response()(scope, receive, tag)
            status = 500
        finally:
            self._finish(scope, status or 499, time.perf_counter() - started)

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.observe(scope["method"], route, status, seconds)
        is_problem = status >= 400 or seconds > SLOW_S
        if not is_problem and (not self._log_all or route in PROBES):
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
        self._lines.write(logging.WARNING if status >= 500 else logging.INFO, fields)


@lru_cache(maxsize=1_024)
def _hash(client: str) -> str:
    return hashlib.sha256(client.encode()).hexdigest()[:12]


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            if ACCEPTED_ID.fullmatch(given):
                return str(given)
    # Nobody is harmed by guessing one, so they need not ask the kernel as uuid4() does.
    return f"{random.getrandbits(128):032x}"


class Guard:
    """Plain ASGI: refuses early and cheaply, before a body is read; then bounds the body's size and the time."""

    def __init__(self, app: ASGIApp, access: Access, max_body_bytes: int, timeout_s: float) -> None:
        self._app, self._access = app, access
        self._max_body_bytes, self._timeout_s = max_body_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            self._access.check(scope, headers)
            body = _Body(receive, headers, self._max_body_bytes)
        except ApiProblem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._bounded(scope, body, send)

    async def _bounded(self, scope: Scope, body: _Body, send: Send) -> None:
        has_started = False

        async def watch(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_s):
                await self._app(scope, body.receive, watch)
        except TimeoutError:
            if has_started:
                raise
            if body.is_complete:
                problem = ApiProblem(503, f"no answer within {self._timeout_s:g} s; try again")
            else:
                problem = ApiProblem(408, "the body did not arrive in time", headers={"Connection": "close"})
            await problem.response()(scope, body.receive, send)


class _Body:
    """The body on its way in, refused when it grows too large; by its length where that is declared."""

    def __init__(self, receive: Receive, headers: Headers, limit: int) -> None:
        self._receive, self._limit, self._read = receive, limit, 0
        self.is_complete = False
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise ApiProblem(413, self._too_large(), headers={"Connection": "close"})

    def _too_large(self) -> str:
        return f"the body is larger than {self._limit:,} bytes"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                # Starlette's own kind, as FastAPI turns any other that comes out of a body into 400.
                raise HTTPException(413, self._too_large(), headers={"Connection": "close"})
            self.is_complete = not message.get("more_body", False)
        return message
