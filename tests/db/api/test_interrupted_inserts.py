"""Inserts in flight when the server stops, the connection is lost, or the table is locked."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from tests.db.api.conftest import STOP_S, Api, problem, serving
from tests.fix_database import Workspace
from tests.waiting import wait_until

CALLERS = 12
# No request times out because the machine is busy, and none waits for a connection.
PATIENT = {"api_request_timeout_s": "100", "api_pool_size": "20"}


@contextmanager
def in_flight(
    api: Api, workspace: Workspace
) -> Iterator[tuple[list[Future[httpx.Response]], psycopg.Connection]]:
    """Callers with a key each, which all wait for a table that the connection has locked."""
    with ThreadPoolExecutor(CALLERS) as threads, workspace.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE transactions IN EXCLUSIVE MODE")
        yield [threads.submit(send, api, number) for number in range(CALLERS)], holder


def send(api: Api, number: int) -> httpx.Response:
    """Retry when the request was shed: `wait_for_arrivals` takes a place for a moment."""
    key = {"Idempotency-Key": f"key {number}"}
    while True:
        response = api.client.post(
            "/transactions", json={"user_id": number % 5, "amount": number}, headers=key
        )
        if "server is busy" not in response.text:
            return response


def wait_for_statements(holder: psycopg.Connection, least: int) -> None:
    """Wait until so many inserts wait for the table."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'transactions'::regclass"

    def are_waiting() -> bool:
        row = holder.execute(query).fetchone()
        return row is not None and row[0] >= least

    wait_until(are_waiting, f"{least} inserts wait")


def wait_for_arrivals(api: Api) -> None:
    """Wait until the server has the requests of all callers: it sheds one more."""
    wait_until(lambda: api.client.get("/").status_code == 503, f"{CALLERS} requests are in flight")


def stored(workspace: Workspace) -> dict[str, int]:
    with workspace.connect() as connection:
        rows = connection.execute("SELECT idempotency_key, transaction_id FROM transactions").fetchall()
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_inserts_in_flight_at_shutdown_are_stored_and_returned(migrated: Workspace, tmp_path: Path) -> None:
    with serving(migrated.url, tmp_path, api_max_concurrent_requests=str(CALLERS), **PATIENT) as api:
        with in_flight(api, migrated) as (waiting, holder):
            wait_for_arrivals(api)
            wait_for_statements(holder, 2)
            api.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert api.process.poll() is None
        responses = [one.result() for one in waiting]
        assert {response.status_code for response in responses} == {201}
        assert api.process.wait(STOP_S) in (0, -15)
        assert stored(migrated) == {
            f"key {number}": response.json()["transaction_id"] for number, response in enumerate(responses)
        }


def test_a_lost_connection_is_503_and_retries_with_the_key_find_stored_rows(
    migrated: Workspace, tmp_path: Path
) -> None:
    with serving(migrated.url, tmp_path, **PATIENT) as api:
        with in_flight(api, migrated) as (waiting, holder):
            wait_for_statements(holder, 2)
            holder.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE NOT granted AND relation = 'transactions'::regclass"
            )
        responses = [one.result() for one in waiting]
        lost = [response for response in responses if response.status_code != 201]
        assert lost and all("try again" in str(problem(response, 503)["detail"]) for response in lost)
        again = [send(api, number) for number in range(CALLERS)]
        assert {response.status_code for response in again} <= {200, 201}
        for before, after in zip(responses, again, strict=True):
            assert before.status_code == 503 or before.json() == after.json()
        assert stored(migrated) == {
            f"key {number}": response.json()["transaction_id"] for number, response in enumerate(again)
        }


def test_rows_of_a_stuck_batch_are_stored_individually(migrated: Workspace, tmp_path: Path) -> None:
    with serving(migrated.url, tmp_path, **PATIENT) as api:
        with in_flight(api, migrated) as (waiting, holder):
            wait_for_statements(holder, 2)
            wait_for_statements(holder, 5)  # more than the batches in flight
        assert {one.result().status_code for one in waiting} == {201}
        assert len(stored(migrated)) == CALLERS
