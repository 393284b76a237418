"""Inserts of concurrent callers: one statement stores them, and no caller waits for another's user."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from unittest.mock import AsyncMock, MagicMock

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from api.errors import IdempotencyKeyConflictError
from api.statements import Row, rows_parameter
from api.transaction_writer import DEADLOCK_TRIES, TransactionWriter
from tests.db.api.conftest import LOCK_USER
from tests.fix_database import Workspace
from tests.user_keys import user
from tests.waiting import LONG_S

Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def batch_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that is slow because the machine is busy is not canceled."""
    monkeypatch.setattr("api.transaction_writer.BATCH_TIMEOUT_S", LONG_S)


@pytest.fixture
def migrated(migrated: Workspace) -> Workspace:
    """No row is stored without the user lock because the machine is busy."""
    with migrated.connect() as connection:
        connection.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 300000)")
    return migrated


def request(user_id: int, amount: str, **rest: Any) -> Row:
    blank = dict.fromkeys(("merchant_id", "location", "occurred_at", "idempotency_key", "external_id"))
    return {"user_id": user(user_id), "amount": Decimal(amount), **blank, **rest}


def insert_with_deadlocks(monkeypatch: pytest.MonkeyPatch, count: int) -> Row:
    """Insert a row that is not stored with its batch, and then loses some deadlocks."""
    lost = psycopg.errors.DeadlockDetected("deadlock detected")
    results = [[], *[lost] * count, [{"is_replayed": False}]]
    monkeypatch.setattr("api.transaction_writer.fetch_rows", AsyncMock(side_effect=results))
    return asyncio.run(TransactionWriter(MagicMock(), 1).insert({"user_id": 1}))


def test_a_lost_deadlock_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert insert_with_deadlocks(monkeypatch, DEADLOCK_TRIES - 1) == {"is_replayed": False}
    with pytest.raises(psycopg.errors.DeadlockDetected):
        insert_with_deadlocks(monkeypatch, DEADLOCK_TRIES)


def test_values_reach_the_server_unchanged(server_url: str) -> None:
    rows: list[Row] = [
        {"f": -0.0, "n": Decimal("999999999999.9999"), "b": 2**63 - 1, "t": 'é"\\\n\U0001f600', "at": None, "o": True},
        {"f": 5e-324, "n": Decimal("0.0001"), "b": -(2**63), "t": "", "at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), "o": False},
        {"f": 1.7976931348623157e308, "n": Decimal("1E+3"), "b": None, "t": None, "at": None, "o": None},
        {"f": 0.1 + 0.2, "n": None, "b": 0, "t": "null", "at": datetime(1970, 1, 1, tzinfo=UTC), "o": None},
    ]  # fmt: skip
    columns = "(f double precision, n numeric, b bigint, t text, at timestamptz, o boolean)"
    with psycopg.connect(server_url) as connection:
        for kind in ("json", "jsonb"):
            query = f"SELECT * FROM {kind}_to_recordset(%(rows)s::{kind}) AS q {columns}"
            stored = connection.execute(query.encode(), rows_parameter(rows)).fetchall()
            assert [tuple(row.values()) for row in rows] == stored
            if kind == "json":
                assert [str(row[0]) for row in stored] == [
                    str(row["f"]) for row in rows
                ]  # the sign of zero too


def with_writer(
    url: str,
    work: Callable[[TransactionWriter], Awaitable[Result]],
    *,
    max_rows: int = 32,
    connections: int = 10,
) -> Result:
    async def run() -> Result:
        async with AsyncConnectionPool(
            url, open=False, min_size=2, max_size=connections, kwargs={"autocommit": True}
        ) as pool:
            return await work(TransactionWriter(pool, max_rows))

    return asyncio.run(run())


def insert_all(writer: TransactionWriter, requests: list[Row]) -> Awaitable[list[Any]]:
    return asyncio.gather(*(writer.insert(row) for row in requests), return_exceptions=True)


def transactions_of(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute("SELECT count(DISTINCT xmin::text) FROM transactions").fetchone()
    assert row is not None
    return int(row[0])


def test_concurrent_inserts_share_one_transaction(migrated: Workspace) -> None:
    requests = [request(number % 7, f"{number}.25", location="DE") for number in range(30)]
    results = with_writer(migrated.url, lambda writer: insert_all(writer, requests))
    assert [(row["user_id"], row["amount"], row["is_replayed"]) for row in results] == [
        (row["user_id"], row["amount"], False) for row in requests
    ]
    assert len({row["transaction_id"] for row in results}) == 30
    assert transactions_of(migrated) == 1
    with migrated.connect() as connection:
        rows = connection.execute(
            "SELECT user_txns_before, amount FROM transactions WHERE user_id = 3 ORDER BY transaction_id"
        ).fetchall()
    assert rows == [
        (n, row["amount"]) for n, row in enumerate(row for row in requests if row["user_id"] == user(3))
    ]


def test_a_batch_size_of_one_turns_batching_off(migrated: Workspace) -> None:
    requests = [request(1, str(number)) for number in range(8)]
    results = with_writer(migrated.url, lambda writer: insert_all(writer, requests), max_rows=1)
    assert [row["is_replayed"] for row in results] == [False] * 8
    assert transactions_of(migrated) == 8


def test_a_key_twice_in_one_statement_returns_the_first_row(migrated: Workspace) -> None:
    requests = [request(1, "5", idempotency_key="k"), request(1, "5", idempotency_key="k"),
                request(2, "5", idempotency_key="k"), request(1, "6", idempotency_key="k")]  # fmt: skip
    first = with_writer(migrated.url, lambda writer: insert_all(writer, requests))
    again = with_writer(migrated.url, lambda writer: insert_all(writer, requests))
    for results, replayed in ((first, [False, True, False]), (again, [True] * 3)):
        assert isinstance(results.pop(), IdempotencyKeyConflictError)
        assert [row["is_replayed"] for row in results] == replayed
    ids = [row["transaction_id"] for row in first]
    assert ids[0] == ids[1] != ids[2] and [row["transaction_id"] for row in again] == ids


def test_one_bad_row_fails_alone(migrated: Workspace) -> None:
    requests = [request(number, "-1" if number == 4 else "1") for number in range(9)]
    results = with_writer(migrated.url, lambda writer: insert_all(writer, requests))
    error = results.pop(4)
    assert isinstance(error, psycopg.errors.CheckViolation) and error.diag.column_name == "amount"
    assert [row["user_id"] for row in results if not row["is_replayed"]] == [
        user(number) for number in (0, 1, 2, 3, 5, 6, 7, 8)
    ]


def test_rows_that_the_failure_policy_rejects_are_rejected_individually(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute("SELECT scoring.set_failure_policy('fail_closed', NULL)")
    requests = [request(number, "1") for number in range(4)]
    results = with_writer(migrated.url, lambda writer: insert_all(writer, requests))
    assert {type(error) for error in results} == {psycopg.errors.ObjectNotInPrerequisiteState}
    assert transactions_of(migrated) == 0


def test_no_caller_waits_for_the_lock_of_another_user(migrated: Workspace) -> None:
    requests = [request(number, "1") for number in range(1, 21)] * 2

    async def work(writer: TransactionWriter) -> None:
        async with await psycopg.AsyncConnection.connect(migrated.url) as holder:
            await holder.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 60000)")
            await holder.commit()
            await holder.execute(LOCK_USER, [user(7)])
            tasks = [asyncio.create_task(writer.insert(row)) for row in requests]
            others = [task for task, row in zip(tasks, requests, strict=True) if row["user_id"] != user(7)]
            # The lock is held meanwhile, so a caller that waits for it fails here.
            await asyncio.wait_for(asyncio.gather(*others), LONG_S)
            assert [task.done() for task in tasks if task not in others] == [False, False]
            await holder.rollback()
            await asyncio.gather(*tasks)

    with_writer(migrated.url, work)
    with migrated.connect() as connection:
        rows = connection.execute("SELECT user_txns_before FROM transactions WHERE user_id = 7").fetchall()
    assert sorted(rows) == [(0,), (1,)]


def test_a_lock_released_during_the_statement_lets_no_later_row_of_its_user_overtake(
    migrated: Workspace,
) -> None:
    """A trigger ends the holder between the two rows of its user."""
    with migrated.connect() as connection, closing(psycopg.connect(migrated.url)) as holder:
        holder.execute(LOCK_USER, [user(7)])
        connection.execute(
            "CREATE FUNCTION end_holder() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN PERFORM pg_terminate_backend({holder.info.backend_pid}, 60000); RETURN NEW; END$$"
        )
        connection.execute(
            "CREATE TRIGGER a_end_holder BEFORE INSERT ON transactions FOR EACH ROW WHEN (NEW.user_id = 8)"
            " EXECUTE FUNCTION end_holder()"
        )
        rows = rows_parameter([request(number, "1") for number in (7, 8, 7, 9)])
        query = "SELECT ordinal FROM scoring.insert_transactions(%(rows)s::jsonb, {})"
        for waits, stored in (("false", [1, 3]), ("false", [0, 1, 2, 3]), ("true", [0, 1, 2, 3])):
            assert [row[0] for row in connection.execute(query.format(waits).encode(), rows)] == stored


def test_no_deadlock_with_a_transaction_of_several_users(migrated: Workspace) -> None:
    requests = [request(number % 4, "1") for number in range(16)]
    insert = "INSERT INTO transactions (user_id, amount) VALUES (%s, 2)"

    async def work(writer: TransactionWriter) -> list[Any]:
        async def client(users: list[int]) -> None:
            async with await psycopg.AsyncConnection.connect(migrated.url) as connection:
                for _ in range(10):
                    async with connection.transaction():
                        for user in users:
                            await connection.execute(insert, [user])

        clients = asyncio.gather(client([0, 1, 2]), client([0, 1, 3]))
        batches = [await insert_all(writer, requests) for _ in range(10)]
        await clients
        return [row for batch in batches for row in batch]

    assert not any(row["is_replayed"] for row in with_writer(migrated.url, work))
    assert counts(migrated) == {user(0): 60, user(1): 60, user(2): 50, user(3): 50}


def counts(workspace: Workspace) -> dict[Any, int]:
    """Rows of each user, after checking that each counts exactly the rows before it."""
    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT user_id, array_agg(user_txns_before ORDER BY received_at) FROM transactions GROUP BY user_id"
        ).fetchall()
    for found, before in rows:
        assert before == list(range(len(before))), found
    return {found: len(before) for found, before in rows}


@pytest.mark.parametrize("users", [1, 3])
def test_batched_individual_and_sql_inserts_count_all_earlier_rows(migrated: Workspace, users: int) -> None:
    """The snapshot of a statement is older than the locks that it takes; the reads of the trigger are not."""
    per_session, sessions = 60, 4

    def over_sql(number: int) -> None:
        with migrated.connect() as connection:
            for n in range(per_session):
                connection.execute("INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [n % users])

    def over_api(number: int) -> None:
        async def work(writer: TransactionWriter) -> None:
            async def caller() -> None:
                for n in range(per_session // 10):
                    assert not (await writer.insert(request(n % users, "1")))["is_replayed"]

            await asyncio.gather(*(caller() for _ in range(10)))

        with_writer(migrated.url, work, max_rows=32 if number else 1)

    with ThreadPoolExecutor(sessions + 3) as threads:
        work = [*(threads.submit(over_sql, n) for n in range(sessions)),
                *(threads.submit(over_api, n) for n in range(3))]  # fmt: skip
        for future in work:
            future.result()
    assert sum(counts(migrated).values()) == per_session * (sessions + 3)


def test_sixteen_clients_with_the_same_keys_store_each_once(migrated: Workspace) -> None:
    keyed = [request(number % 5, f"{number}", idempotency_key=f"key {number}") for number in range(40)]
    stored: list[str] = []

    def client(number: int) -> dict[str, int]:
        requests = keyed[:]
        random.Random(number).shuffle(requests)
        results = with_writer(
            migrated.url,
            lambda writer: insert_all(writer, requests),
            max_rows=1 + number * 2,
            connections=4,
        )
        by_key = dict(zip((row["idempotency_key"] for row in requests), results, strict=True))
        stored.extend(key for key, row in by_key.items() if not row["is_replayed"])
        return {key: row["transaction_id"] for key, row in by_key.items()}

    with ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(client, range(16)))
    assert all(of_client == ids[0] for of_client in ids)
    assert sorted(stored) == sorted(row["idempotency_key"] for row in keyed)
    assert counts(migrated) == dict.fromkeys(map(user, range(5)), 8)


def test_scores_of_one_statement_include_the_rows_before_them(scored: Workspace) -> None:
    """The features too, not only the running totals: their functions are STABLE, with the snapshot of the trigger."""
    user = 987_654
    requests = [request(user, "12.5", location="DE") for _ in range(30)]
    with scored.connect() as connection:
        connection.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 300000)")

    def over_sql() -> None:
        with scored.connect() as connection:
            for _ in range(10):
                connection.execute("INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [user])

    with ThreadPoolExecutor(3) as threads:
        clients = [threads.submit(over_sql) for _ in range(3)]
        results = with_writer(scored.url, lambda writer: insert_all(writer, requests))
        for client in clients:
            client.result()
    assert all(row["model_version"] for row in results)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT t.feature_values[array_position(m.feature_names, 'user_txn_count_1h')]"
            " FROM transactions AS t JOIN model_versions AS m ON m.version = t.model_version"
            " WHERE t.user_id = %s ORDER BY t.received_at",
            [user],
        ).fetchall()
    assert [count for (count,) in rows] == list(range(60))
