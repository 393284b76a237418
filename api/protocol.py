"""Bounds of a connection before a request is complete: uvicorn's protocol has none for its head."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.problems import ApiProblem

MAX_HEAD_BYTES = 32_768
HEAD_TIMEOUT_S = 5.0
# Without one byte of a response read by the client.
WRITE_TIMEOUT_S = 10.0
TOO_LARGE = f"the head is larger than {MAX_HEAD_BYTES:,} bytes"


class BoundedProtocol(HttpToolsProtocol):
    """Bounds size and time of a head, a stalled response, and the connections of an address.

    A connection either has a request in flight, which the application bounds, or has no data since its last response,
    which `timeout_keep_alive` bounds, or receives something: a head, a trailer, the rest of a body that was rejected.
    That may last `HEAD_TIMEOUT_S`. Trusted proxies may open any number of connections.

    The lifespan's state has the limit of connections as `max_connections_per_address`.
    """

    open_connections: ClassVar[Counter[str]] = Counter()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._bytes_since_event = 0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._active_cycle: RequestResponseCycle | None = None
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()
        address = self.client[0] if self.client else ""
        if not address or _is_proxy(address, str(self.config.forwarded_allow_ips)):
            return
        self._address = address
        self.open_connections[address] += 1
        if self.open_connections[address] > self.app_state["max_connections_per_address"]:
            self._reject(503, "too many connections from this address; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_write_timer()
        if self._address:
            self.open_connections[self._address] -= 1
            if not self.open_connections[self._address]:
                del self.open_connections[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._bytes_since_event += len(data)
        super().data_received(data)
        if self._bytes_since_event > MAX_HEAD_BYTES:
            self._reject(431, TOO_LARGE)
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_timer()

    def on_headers_complete(self) -> None:
        # One read may hold a larger head; the sum is worth its time for large reads only.
        if self._bytes_since_event > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                self._reject(431, TOO_LARGE)
                return
        self._bytes_since_event = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes_since_event = 0
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active_cycle = cycle  # with pipelining, uvicorn's `cycle` may be a later one
        super()._start_asgi_task(cycle, app)

    def _abort(self) -> None:
        if self._active_cycle is not None:
            self._active_cycle.disconnected = True
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self._reject(400, msg)

    def _start_timer(self) -> None:
        detail = "the head did not arrive in time"
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._reject, 408, detail)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _reject(self, status: int, detail: str) -> None:
        """Send a problem unless a response is on its way, and close the connection."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            response = ApiProblem(status, detail, headers={"Connection": "close"}).response()
            head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
            head += [name + b": " + value for name, value in response.raw_headers]
            self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
        self.transport.close()


@cache
def _is_proxy(address: str, trusted: str) -> bool:
    return address in ProxyHeadersMiddleware(cast(Any, None), trusted).trusted_hosts
