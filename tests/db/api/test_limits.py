"""Limits of rate, body, time and requests in flight; host names, shutdown, request ids and logs."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.db.api.conftest import LOCK_USER, STOP_S, Api, problem, serving
from tests.db.api.tokens import SECRET, bearer, token
from tests.fix_database import Workspace, _database
from tests.waiting import wait_for_sessions, wait_until

RAW = {"user_id": 42, "amount": 4.5}


def log_lines(api: Api) -> list[dict[str, object]]:
    return [json.loads(line) for line in api.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def bounded_url(server_url: str, migrated_template: Workspace) -> Iterator[str]:
    """A separate database: nothing may be inserted into a template."""
    with _database(server_url, migrated_template.url) as url:
        yield url


@pytest.fixture(scope="module")
def bounded(bounded_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Small limits, so that they are reached."""
    folder = tmp_path_factory.mktemp("bounded")
    with serving(
        bounded_url,
        folder,
        jwt_secret=SECRET,
        api_rate_limit="5/second",
        api_max_body_bytes="2000",
        api_request_timeout_s="3",
        api_max_concurrent_requests="3",
    ) as api:
        yield api


def test_a_client_beyond_its_rate_waits_and_others_do_not(bounded: Api) -> None:
    first, second = bearer(token("write", sub="first")), bearer(token("write", sub="second"))
    responses: list[httpx.Response] = []

    def is_limited() -> bool:
        responses.append(bounded.client.get("/model", headers=first))
        return responses[-1].status_code == 429

    # A busy machine may need several windows of a second before five requests fit into one.
    wait_until(is_limited, "more than five requests within a second")
    assert {response.status_code for response in responses[:-1]} == {403} and len(responses) > 5
    problem(responses[-1], 429)
    assert int(responses[-1].headers["retry-after"]) >= 1
    assert bounded.client.get("/model", headers=second).status_code == 403
    wait_until(lambda: not is_limited(), "the next second")
    assert responses[-1].status_code == 403


def test_guessing_tokens_is_limited(bounded: Api) -> None:
    statuses: list[int] = []

    def guess(_: int) -> None:
        statuses.append(bounded.client.get("/model", headers=bearer("x")).status_code)

    def is_slowed_down() -> bool:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(guess, range(60)))
        return {401, 429} <= set(statuses)

    wait_until(is_slowed_down, "more than twenty guesses within a second")
    assert set(statuses) <= {401, 429, 503}  # three requests at a time are many for this server
    assert bounded.client.get("/model", headers=bearer(token("write", sub="honest"))).status_code == 403


@pytest.mark.parametrize("is_declared", [True, False])
def test_large_bodies_are_rejected(bounded: Api, is_declared: bool) -> None:
    text = json.dumps(RAW | {"location": "x" * 3_000}).encode()
    content = text if is_declared else iter([text[:1_000], text[1_000:]])
    headers = bearer(token("write", sub=f"large {is_declared}")) | {"content-type": "application/json"}
    response = bounded.client.post("/transactions", content=content, headers=headers)
    assert "2,000 bytes" in str(problem(response, 413)["detail"])


def test_a_body_that_does_not_arrive_times_out(bounded: Api) -> None:
    port = bounded.client.base_url.port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=120) as client:
        client.sendall(
            b"POST /transactions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"authorization: bearer "
            + token("write", sub="slow").encode()
            + b"\r\ncontent-length: 50\r\n\r\n{"
        )
        assert client.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_slow_requests_time_out_and_more_are_shed(bounded: Api, bounded_url: str) -> None:
    def insert(number: int) -> httpx.Response:
        headers = bearer(token("write", sub=f"waiting {number}"))
        return bounded.client.post("/transactions", json={"user_id": 4_711, "amount": 1}, headers=headers)

    with psycopg.connect(bounded_url, autocommit=True) as holder, ThreadPoolExecutor(8) as threads:
        # Longer than a request may take.
        holder.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 60000)")
        with holder.transaction():
            holder.execute(LOCK_USER, [4_711])
            waiting = list(threads.map(insert, range(8)))
        details = [str(problem(response, 503)["detail"]) for response in waiting]
        assert all(int(response.headers["retry-after"]) >= 1 for response in waiting)
        assert sum("busy" in detail for detail in details) == 5, details
        assert sum("within 3 s" in detail for detail in details) == 3, details
        assert bounded.client.get("/livez").status_code == 200
        numbers = count(99)
        wait_until(lambda: insert(next(numbers)).status_code == 201, "the canceled requests have ended")
    text = bounded.client.get("/metrics", headers=bearer(token("admin", sub="scraper"))).text
    assert "rowguard_http_requests_shed_total 5.0" in text


def test_request_ids_are_created_or_kept(bounded: Api) -> None:
    given = bounded.client.get("/livez", headers={"X-Request-Id": "order-991"}).headers["x-request-id"]
    assert given == "order-991"
    for bad in ("a b", "x" * 65, '"', ""):
        made = bounded.client.get("/livez", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_logs_are_documents_without_personal_data(migrated: Workspace, tmp_path: Path) -> None:
    with serving(migrated.url, tmp_path, jwt_secret=SECRET) as api:
        value = token("write", sub="caller@example.com")
        body = {"user_id": 424_242_424, "amount": 31_337.25, "location": "Elsewhere"}
        headers = bearer(value) | {"Idempotency-Key": "key-of-hers", "X-Request-Id": "one"}
        assert api.client.post("/transactions?q=secretquery", json=body, headers=headers).status_code == 201
        api.client.post("/transactions", json=body | {"amount": "oops-value"}, headers=headers)
        api.client.get("/424242424", headers=headers)
        statuses = (201, 422, 404)
        wait_until(
            lambda: all(f'"status": {status}' in api.log.read_text() for status in statuses),
            "every request is in the log",
        )
        lines = log_lines(api)
        text = api.log.read_text()
    (line,) = [one for one in lines if one.get("status") == 201]
    assert line["request_id"] == "one" and line["route"] == "/transactions" and line["method"] == "POST"
    assert re.fullmatch(r"[0-9a-f]{16}", str(line["client"])) and float(str(line["ms"])) > 0
    assert [one["route"] for one in lines if one.get("status") == 404] == ["unknown"]
    for private in ("424242424", "31337", "Elsewhere", "key-of-hers", "caller", "secretquery", "oops", value, SECRET,
                    "127.0.0.1"):  # fmt: skip
        assert private not in text, private


def test_a_request_in_flight_is_finished_at_shutdown(scored: Workspace, tmp_path: Path) -> None:
    with (
        serving(scored.url, tmp_path) as api,
        scored.connect() as holder,
        ThreadPoolExecutor(1) as thread,
    ):
        holder.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 60000)")
        with holder.transaction(force_rollback=True):
            holder.execute(LOCK_USER, [815])
            waiting = thread.submit(api.client.post, "/labels", json={
                "user_id": 815, "transaction_id": 1, "is_fraud": True})  # fmt: skip
            assert waiting.result().status_code == 404
            waiting = thread.submit(api.client.post, "/transactions", json={"user_id": 815, "amount": -0.0})
            with scored.connect() as watcher:
                wait_for_sessions(watcher, "wait_event = 'advisory'")
            api.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert api.process.poll() is None
        assert waiting.result().status_code == 201
        assert api.process.wait(STOP_S) in (0, -15)


def test_an_open_loopback_serves_names_of_this_machine_only(
    migrated_template: Workspace, tmp_path: Path
) -> None:
    with serving(migrated_template.url, tmp_path) as api:
        for host in ("localhost", "localhost:8001", "127.0.0.1:1", "[::1]:80"):
            assert api.client.get("/", headers={"Host": host}).status_code == 200
        for host in ("attacker.example", "localhost.attacker.example", "10.0.0.1:8001", "[2001:db8::1]"):
            problem(api.client.get("/", headers={"Host": host}), 421)


def test_the_api_login_is_enough_for_every_endpoint(guarded_api: Api) -> None:
    """The server in these tests logs in as a member of rowguard_api; a superuser would prove nothing."""
    with guarded_api.database.connect("rowguard_api") as connection:
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == (False,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT shadow_feature_values FROM transactions")
