"""What makes a request quick, part by part: nothing is lost, reordered or counted wrongly on the short ways."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from limits import parse
from starlette.types import Message, Receive, Scope, Send

from api.app import ApiConfig, create_app
from api.batcher import Batcher
from api.lean import Lean
from api.logs import JsonFormatter, LineLog
from api.rates import Windows
from api.rows import Row, document
from api.wire import Together
from rowguard.settings import Settings
from tests.db.api.conftest import Api

# -- rates


def test_a_window_begins_with_the_first_call_and_ends_after_its_time() -> None:
    now = 100.0
    windows = Windows(parse("3/second"), clock=lambda: now)
    assert [windows.hit("a") for _ in range(5)] == [True, True, True, False, False]
    assert windows.hit("b")
    now = 100.99
    assert not windows.hit("a")
    now = 101.0
    assert [windows.hit("a") for _ in range(4)] == [True, True, True, False]


def test_those_who_do_not_come_again_are_forgotten() -> None:
    now = 0.0
    windows = Windows(parse("10/minute"), clock=lambda: now)
    for number in range(1_000):
        windows.hit(f"client {number}")
    assert len(windows) == 1_000
    now = 60.0
    windows.hit("another")
    assert len(windows) == 1


# -- answers in one piece


class Recorded:
    """What reaches the socket, in the order of the calls."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


def written(*steps: bytes | str) -> list[bytes | str]:
    """What comes of writes, closings and turns of the event loop."""

    async def run() -> list[bytes | str]:
        recorded = Recorded()
        transport = Together(recorded, asyncio.get_running_loop())  # type: ignore[arg-type]
        for step in steps:
            if step == "turn":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            elif step == "close":
                transport.close()
            else:
                assert isinstance(step, bytes)
                transport.write(step)
        await asyncio.sleep(0)
        assert transport.is_closing() == ("close" in steps)
        return recorded.calls

    return asyncio.run(run())


def test_head_and_body_are_written_together_and_nothing_waits_for_a_body_that_does_not_come() -> None:
    head = b"HTTP/1.1 201 Created\r\n\r\n"
    assert written(head, b"body") == [head + b"body"]
    assert written(head, b"body", b"more", head, b"") == [head + b"body", b"more", head]
    assert written(head, "turn", b"body") == [head, b"body"]
    assert written(head, "close") == [head, "close"]
    assert written(b"HTTP/1.1 100 Continue\r\n\r\n", "turn", head, b"x") == [
        b"HTTP/1.1 100 Continue\r\n\r\n", head + b"x",
    ]  # fmt: skip


def test_answers_without_a_body_arrive(api: Api) -> None:
    answer = api.client.head("/predict")
    assert answer.status_code == 405 and answer.content == b""
    assert api.client.get("/livez").json()["status"] == "ok"  # on the same connection


# -- lines


def test_lines_are_the_documents_of_the_formatter(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"request_id": "one", "route": "/transactions", "status": 201, "ms": 1.5, "odd": 'é"\n\\'}
    log = logging.getLogger("rowguard.test_lines")
    lines = LineLog(log, "request")

    async def run(level: int) -> None:
        log.setLevel(level)
        lines.write(logging.INFO, fields)
        lines.write(logging.ERROR, fields)
        await asyncio.sleep(0)

    asyncio.run(run(logging.INFO))
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    record = log.makeRecord(log.name, logging.INFO, "", 0, "request", (), None, extra={"fields": fields})
    expected = json.loads(JsonFormatter().format(record))
    for one in (first, expected):
        assert datetime.fromisoformat(one["time"]).tzinfo is not None and len(one["time"]) == 29
        assert abs(datetime.fromisoformat(one.pop("time")).timestamp() - time.time()) < 60
    assert first == expected and list(first) == list(expected)
    assert second["level"] == "error"
    asyncio.run(run(logging.ERROR))
    assert len(capsys.readouterr().err.splitlines()) == 1


# -- gathering


def test_those_who_wait_go_out_beside_a_slow_list() -> None:
    async def run() -> list[int]:
        others_are_back = asyncio.Event()

        async def ask(questions: Sequence[int]) -> list[int]:
            if questions[0] == 0:
                await others_are_back.wait()
            return list(questions)

        batcher = Batcher(ask)
        first = asyncio.create_task(batcher(0))
        await asyncio.sleep(0)
        answers = await asyncio.wait_for(asyncio.gather(*(batcher(n) for n in (1, 2, 3))), 60)
        others_are_back.set()
        return [await first, *answers]

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_those_who_wait_for_a_quick_list_share_the_next() -> None:
    lists: list[list[int]] = []

    async def ask(questions: Sequence[int]) -> list[int]:
        lists.append(list(questions))
        await asyncio.sleep(0.02)
        return list(questions)

    async def run() -> None:
        batcher = Batcher(ask, patience_s=60)
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(batcher(number)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]

    asyncio.run(run())
    assert lists == [[0], [1, 2, 3, 4]]


def test_a_full_list_does_not_make_the_rest_wait() -> None:
    sizes: list[int] = []

    async def ask(questions: Sequence[int]) -> list[int]:
        sizes.append(len(questions))
        await asyncio.sleep(0.05)
        return list(questions)

    async def run() -> float:
        batcher = Batcher(ask, max_questions=4, patience_s=30)
        started = time.perf_counter()
        await asyncio.gather(*(batcher(n) for n in range(8)))
        return time.perf_counter() - started

    assert asyncio.run(run()) < 20
    assert sizes == [4, 4]


# -- rows


def test_every_value_reaches_the_server_as_it_is(server_url: str) -> None:
    rows: list[Row] = [
        {"f": -0.0, "n": Decimal("999999999999.9999"), "b": 2**63 - 1, "t": 'é"\\\n\U0001f600', "at": None, "o": True},
        {"f": 5e-324, "n": Decimal("0.0001"), "b": -(2**63), "t": "", "at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), "o": False},
        {"f": 1.7976931348623157e308, "n": Decimal("1E+3"), "b": None, "t": None, "at": None, "o": None},
        {"f": 0.1 + 0.2, "n": None, "b": 0, "t": "null", "at": datetime(1970, 1, 1, tzinfo=UTC), "o": None},
    ]  # fmt: skip
    query = (
        "SELECT * FROM json_to_recordset(%(rows)s::json)"
        " AS q (f double precision, n numeric, b bigint, t text, at timestamptz, o boolean, place integer)"
    )
    with psycopg.connect(server_url) as connection:
        got = connection.execute(query, document(rows)).fetchall()
    assert [(*row.values(), place) for place, row in enumerate(rows)] == got
    assert [str(row[0]) for row in got] == [str(row["f"]) for row in rows]  # the zero's sign too


# -- the short way


def lean_app() -> tuple[FastAPI, Any]:
    settings = Settings(_env_file=None)
    app = create_app(ApiConfig("postgresql://localhost:1/nowhere", True, settings))
    return app, app.state.repository


async def ask(
    lean: Lean, path: str, parts: list[Message], kind: bytes = b"application/json"
) -> list[Message]:
    """The messages of an answer to a body that comes in parts."""
    waiting = iter(parts)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", kind)]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "state": {}}
    await lean(scope, receive, send)
    return sent


def part(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([part(b'{"transaction_', True), part(b'amount": -1}', False)], b"application/json"),
        ([part(b"{", True), {"type": "http.disconnect"}], b"application/json"),
        ([part(b'{"transaction_amount": 1}', False)], b"text/plain"),
        ([part(b"", False)], b"application/json"),
    ],
)
def test_what_is_not_well_formed_goes_the_ordinary_way_with_all_that_came(
    parts: list[Message], kind: bytes
) -> None:
    app, repository = lean_app()
    heard: list[Message] = []

    async def ordinary(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([await receive() for _ in parts])

    lean = Lean(ordinary, app.routes, repository, app.state.metrics)
    assert asyncio.run(ask(lean, "/predict", parts, kind)) == []
    assert heard == parts


def test_both_ways_answer_the_same(api: Api) -> None:
    """The ordinary way is taken for another spelling of the media type only."""
    bodies = [("/predict", {"transaction_amount": 7.25}), ("/predict", {"user_id": 5, "amount": "1.5"})]
    for path, body in bodies:
        answers = [
            api.client.post(path, content=json.dumps(body), headers={"content-type": kind})
            for kind in (
                "application/json",
                "Application/JSON; charset=utf-8",
                "application/vnd.rowguard+json",
            )
        ]
        assert [one.status_code for one in answers] == [200] * 3
        documents = [{k: v for k, v in one.json().items() if k != "message"} for one in answers]
        assert documents[0] == documents[1] == documents[2]
        assert {one.headers["content-type"] for one in answers} == {"application/json"}
    key = {"Idempotency-Key": "both ways"}
    stored = [
        api.client.post(
            "/transactions", content='{"user_id": 5, "amount": 2}', headers=key | {"content-type": kind}
        )
        for kind in ("application/json", "application/vnd.rowguard+json")
    ]
    assert [one.status_code for one in stored] == [201, 200]
    assert stored[0].json() == stored[1].json()
