"""A small load generator: closed loop, one request in flight on each connection, every latency kept.

`load.py HOST PORT CONNECTIONS SECONDS` reads requests as JSON lines (path, body, headers) from standard input, which
connections send in turn, and prints one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import uvloop

WARM_UP_SHARE = 0.2


@dataclass
class Tally:
    """What came back, after the warm-up."""

    counts_from: float
    ends: float
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    without_retry_after: int = 0

    def report(self, duration: float) -> dict[str, Any]:
        """Summarize; latencies are those of successful responses."""
        ordered = sorted(self.seconds)
        served = len(ordered)

        def quantile(share: float) -> float | None:
            return round(ordered[min(served - 1, int(share * served))] * 1000, 2) if ordered else None

        return {
            "per_second": round(served / duration, 1),
            "p50_ms": quantile(0.50),
            "p99_ms": quantile(0.99),
            "max_ms": quantile(1.0),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "refused_per_second": round(self.statuses[503] / duration, 1),
            "errors": self.broken
            + sum(count for status, count in self.statuses.items() if status not in (200, 201, 503)),
            "refused_without_retry_after": self.without_retry_after,
        }


class Connection(asyncio.Protocol):
    """Sends a request, waits for the whole answer, sends the next."""

    def __init__(self, requests: list[bytes], first: int, tally: Tally) -> None:
        self._requests, self._next, self._tally = requests, first, tally
        self._transport: asyncio.Transport | None = None
        self._status_ok = False
        self._has_retry_after = False
        self.closed = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        now = time.perf_counter()
        if now >= self._tally.ends:
            self._transport.close()
            return
        self._sent = now
        self._has_retry_after = False
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._tally.broken += 1
            assert self._transport is not None
            self._transport.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._has_retry_after = True

    def on_message_complete(self) -> None:
        now, tally = time.perf_counter(), self._tally
        status = self._parser.get_status_code()
        if tally.counts_from <= now < tally.ends:
            tally.statuses[status] += 1
            if status in (200, 201):
                tally.seconds.append(now - self._sent)
            elif status == 503 and not self._has_retry_after:
                tally.without_retry_after += 1
        if not self._parser.should_keep_alive():
            self._parser = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self._tally.ends:
            self._tally.broken += 1
        if not self.closed.done():
            self.closed.set_result(None)


async def run(
    host: str, port: int, connections: int, seconds: float, requests: list[bytes]
) -> dict[str, Any]:
    """Load for that long; the first fifth is warm-up and does not count."""
    loop = asyncio.get_running_loop()
    now = time.perf_counter()
    tally = Tally(now + seconds * WARM_UP_SHARE, now + seconds)
    stride = max(1, len(requests) // connections)

    def make(number: int) -> Callable[[], Connection]:
        return lambda: Connection(requests, number * stride, tally)

    opening = (loop.create_connection(make(number), host, port) for number in range(connections))
    made = await asyncio.gather(*opening, return_exceptions=True)
    protocols = [one[1] for one in made if not isinstance(one, BaseException)]
    tally.broken += len(made) - len(protocols)
    await asyncio.wait([one.closed for one in protocols], timeout=seconds + 30)
    return tally.report(seconds * (1 - WARM_UP_SHARE))


def request_bytes(host: str, port: int, path: str, body: Any, headers: dict[str, str]) -> bytes:
    """One HTTP/1.1 POST."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"host: {host}:{port}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def main() -> None:
    host, port, connections, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    lines = [json.loads(line) for line in sys.stdin]
    requests = [request_bytes(host, port, path, body, headers) for path, body, headers in lines]
    print(json.dumps(uvloop.run(run(host, port, connections, seconds, requests))))


if __name__ == "__main__":
    main()
