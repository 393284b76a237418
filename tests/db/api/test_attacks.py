"""What clients without a request, or with half of one, can take from the server: memory, connections, places."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import MagicMock

import httpx
import psutil
import psycopg
import pytest

from api import protocol
from api.repository import Repository
from tests.db.api.conftest import Api, serving
from tests.db.api.tokens import SECRET, bearer, token
from tests.fix_database import Workspace, _database
from tests.waiting import wait_until

MAX_CONNECTIONS = 100
PLACES = 20
GREETING = b"GET / HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture(scope="module")
def attacked(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    with (
        _database(server_url, migrated_template.url) as url,
        serving(
            url,
            tmp_path_factory.mktemp("attacked"),
            jwt_secret=SECRET,
            api_rate_limit="100000/second",
            api_max_connections_per_address=str(MAX_CONNECTIONS),
            api_max_concurrent_requests=str(PLACES),
            api_request_timeout_s="8",
        ) as api,
    ):
        yield api


@contextmanager
def connections(api: Api, count: int, content: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        address = ("127.0.0.1", api.client.base_url.port or 0)
        opened = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(count)]
        for one in opened:
            one.sendall(content)
        yield opened


def received(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def established(api: Api) -> int:
    """Count the connections that the server has open."""
    return sum(
        one.status == psutil.CONN_ESTABLISHED
        for one in psutil.Process(api.process.pid).net_connections("tcp")
    )


def flood(connection: socket.socket, part: bytes, total: int) -> int:
    """Send until the server closes the connection; return the number of bytes that it could have kept."""
    sent = 0
    try:
        while sent < total:
            connection.sendall(part)
            sent += len(part)
    except ConnectionError:
        pass
    return sent


HALVES = {
    "one header": (GREETING + b"x: ", b"a" * 65_536),
    "many headers": (GREETING, b"x: a\r\n" * 8_192),
    "address": (b"GET /", b"a" * 65_536),
    "extension of a chunk": (b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;", b"a" * 65_536),
    "trailer": (b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", b"a" * 65_536),
}  # fmt: skip


@pytest.mark.parametrize("half", HALVES)
def test_an_endless_head_is_cut_off(attacked: Api, half: str) -> None:
    start, part = HALVES[half]
    process = psutil.Process(attacked.process.pid)
    before = process.memory_info().rss
    with connections(attacked, 5, start) as opened, ThreadPoolExecutor(5) as threads:
        sent = list(threads.map(lambda one: flood(one, part, 100_000_000), opened))
    assert max(sent) < 20_000_000  # what the buffers of both sides and of the kernel take
    assert process.memory_info().rss - before < 30_000_000


def test_a_large_head_at_once_is_too_large(attacked: Api) -> None:
    for size, status in ((30_000, b"200 "), (protocol.MAX_HEAD_BYTES, b"431 ")):
        head = GREETING + b"connection: close\r\nx: " + b"a" * size + b"\r\n\r\n"
        with connections(attacked, 1, head) as (one,):
            text = received(one)
            assert text.startswith(b"HTTP/1.1 " + status), text[:200]
    assert b"application/problem+json" in text and text.endswith(b'"the head is larger than 32,768 bytes"}')


def test_half_sent_heads_are_bounded_in_number_and_end(attacked: Api) -> None:
    with connections(attacked, 300, GREETING) as opened:
        assert established(attacked) <= MAX_CONNECTIONS + 20  # some are being closed
        with ThreadPoolExecutor(300) as threads:
            texts = list(threads.map(received, opened))
    statuses = {text.split(b" ")[1] if text else b"" for text in texts}
    assert b"408" in statuses and statuses <= {b"408", b"503", b""}
    assert sum(text.startswith(b"HTTP/1.1 408") for text in texts) <= MAX_CONNECTIONS
    wait_until(lambda: established(attacked) < 10, "the connections have ended")
    assert attacked.client.get("/livez").status_code == 200


def test_a_head_that_comes_in_drops_ends_too(attacked: Api) -> None:
    """As do the drops of a body that was rejected: the time runs from the first of them."""
    rejected = b"POST /model HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000\r\n\r\n"
    for start in (GREETING, rejected):
        with connections(attacked, 1, start) as (one,):
            drops = 0
            try:
                while drops < 200:
                    one.sendall(b"a")
                    drops += 1
                    time.sleep(0.2)
            except ConnectionError:
                pass
        assert drops < 100, start


def test_readers_that_stop_are_disconnected(attacked: Api) -> None:
    """They ask for many large responses, and read none."""
    request = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with connections(attacked, 30, request * 4):
        wait_until(lambda: established(attacked) >= 30, "the connections are open")
        wait_until(lambda: established(attacked) < 10, "the connections have ended")
    assert "unexpected error" not in attacked.log.read_text()


def test_slow_bodies_take_no_place_of_others(attacked: Api) -> None:
    head = (
        b"POST /transactions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: 500\r\nauthorization: bearer " + token("write", sub="slow").encode() + b"\r\n\r\n{"
    )
    headers = bearer(token("label", sub="other"))
    body = {"user_id": 1, "transaction_id": 1, "is_fraud": True}
    with connections(attacked, MAX_CONNECTIONS - 20, head) as opened:  # four times the places
        for _ in range(50):
            assert attacked.client.post("/labels", json=body, headers=headers).status_code == 404
        with ThreadPoolExecutor(len(opened)) as threads:
            texts = list(threads.map(received, opened))
    assert {text[:13] for text in texts} == {b"HTTP/1.1 408 "}


def test_a_flood_of_probes_is_one_query() -> None:
    """Of readiness that is at most a second old, also while the database does not respond."""
    repository = Repository(MagicMock())
    calls = 0

    async def rows(query: str) -> list[dict[str, bool]]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        if calls > 1:
            raise OSError("gone")
        return [{"is_writable": True}]

    async def probe() -> None:
        repository._rows = rows  # type: ignore[assignment, method-assign]
        assert (
            await asyncio.gather(*(repository.get_readiness() for _ in range(1_000)))
            == [{"is_writable": True}] * 1_000
        )
        repository._readiness_at -= 2
        results = await asyncio.gather(
            *(repository.get_readiness() for _ in range(1_000)), return_exceptions=True
        )
        assert all(isinstance(result, OSError) for result in results)

    asyncio.run(probe())
    assert calls == 2


def test_a_full_lock_table_is_not_ready(migrated: Workspace, tmp_path: Path) -> None:
    """A login that may only read fills it; no INSERT can take the lock of its user meanwhile."""
    with serving(migrated.url, tmp_path) as api:
        with migrated.connect("rowguard_readonly") as reader:
            with pytest.raises(psycopg.errors.OutOfMemory):
                reader.execute("SELECT count(pg_try_advisory_lock(n)) FROM generate_series(1, 1000000) AS n")
            wait_until(lambda: api.client.get("/readyz").status_code == 503, "it is not ready")
            body = {"user_id": 1, "amount": 1}
            assert api.client.post("/transactions", json=body).status_code == 503
            assert api.client.get("/livez").status_code == 200
        wait_until(lambda: api.client.get("/readyz").status_code == 200, "it is ready again")
        assert api.client.post("/transactions", json=body).status_code == 201


def test_others_are_served_during_a_flood_of_probes(attacked: Api) -> None:
    ended = threading.Event()

    def flood_probes(_: int) -> int:
        count = 0
        with httpx.Client(base_url=attacked.client.base_url, timeout=60, trust_env=False) as client:
            while not ended.is_set():
                assert client.get("/readyz").status_code == 200
                count += 1
        return count

    headers = bearer(token("label", sub="other"))
    body = {"user_id": 1, "transaction_id": 1, "is_fraud": True}
    with ThreadPoolExecutor(8) as threads:
        floods = [threads.submit(flood_probes, number) for number in range(8)]
        for _ in range(50):
            assert attacked.client.post("/labels", json=body, headers=headers).status_code == 404
        ended.set()
        assert sum(one.result() for one in floods) > 50
