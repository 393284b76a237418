"""Running totals while several sessions work on one user at once: with and without its lock, with the owner's changes
in between. The expected totals are computed in Python."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.db.features.totals import (
    assert_live_matches_row_scan,
    assert_recomputed,
    assert_totals_are_right,
    totals_pending_count,
    wrong_totals,
)
from tests.fix_database import Workspace
from tests.user_keys import USER_ID_TYPE, user
from tests.waiting import LONG_S, wait_until

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
INSERT = "INSERT INTO transactions (user_id, amount, occurred_at) VALUES (1, %s, %s)"
Connection = psycopg.Connection[Any]


def at(minute: float) -> datetime:
    return NOW + timedelta(minutes=minute)


@pytest.fixture
def filled(migrated: Workspace) -> Workspace:
    with migrated.connect() as connection:
        for minute in (10, 20, 30, 40):
            connection.execute(INSERT, [minute, at(minute)])
    return migrated


@contextmanager
def waiting(workspace: Workspace, deed: Callable[[Connection], object]) -> Iterator[list[BaseException]]:
    """Run the action in another session; the block starts once it waits for a lock, or has ended."""
    failed: list[BaseException] = []
    with psycopg.connect(workspace.url, autocommit=True) as connection:

        def work() -> None:
            try:
                deed(connection)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            with workspace.connect() as watcher:

                def waits_or_is_through() -> bool:
                    row = watcher.execute(
                        "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                        [connection.info.backend_pid],
                    ).fetchone()
                    return row is not None or not thread.is_alive()

                wait_until(waits_or_is_through, "the other session waits, or is through")
            yield failed
        finally:
            thread.join(timeout=LONG_S)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM transactions WHERE amount = 20",
        "DELETE FROM transactions WHERE amount = 10",
        "DELETE FROM transactions WHERE amount IN (10, 20)",
        "UPDATE transactions SET amount = 21 WHERE amount = 20",
        "UPDATE transactions SET user_id = 2 WHERE amount = 20",
        "UPDATE transactions SET occurred_at = occurred_at - interval '18 minutes' WHERE amount = 20",
    ],
)
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_a_late_row_near_an_open_change_of_the_owner(filled: Workspace, change: str, ending: str) -> None:
    """It does not wait for the owner either: an open transaction must not hold up a payment."""
    with psycopg.connect(filled.url, autocommit=True) as owner:
        owner.execute("BEGIN")
        owner.execute(change.encode())
        with waiting(filled, lambda late: late.execute(INSERT, [5, at(5)])) as failed:
            owner.execute(ending.encode())
        assert failed == []
        assert wrong_totals(owner) == []
    assert_recomputed(filled)


def test_settling_in_an_insert_does_not_wait_for_locked_rows(filled: Workspace) -> None:
    with psycopg.connect(filled.url) as owner, filled.connect() as client:
        owner.execute("SELECT FROM transactions WHERE amount = 30 FOR UPDATE")
        client.execute("SET statement_timeout = '60s'")
        client.execute(INSERT, [5, at(5)])  # late: pending
        client.execute(INSERT, [50, at(50)])  # would settle it, but for the locked row
        assert totals_pending_count(client) == 2
        owner.rollback()
        client.execute(INSERT, [60, at(60)])
        assert_totals_are_right(client)


def test_two_changes_of_the_owner_at_once(filled: Workspace) -> None:
    """The mark of the one must not go with the first row that the other removes."""
    with psycopg.connect(filled.url, autocommit=True) as first:
        first.execute("BEGIN")
        first.execute("DELETE FROM transactions WHERE amount = 10")
        with waiting(filled, lambda other: other.execute("DELETE FROM transactions WHERE amount = 30")):
            first.execute("COMMIT")
        assert totals_pending_count(first) == 1
        assert wrong_totals(first) == []


def test_settling_while_the_owner_changes_rows(filled: Workspace) -> None:
    with psycopg.connect(filled.url, autocommit=True) as owner:
        owner.execute("DELETE FROM transactions WHERE amount = 30")
        owner.execute("BEGIN")
        owner.execute("DELETE FROM transactions WHERE amount = 20")
        settle = f"SELECT scoring.recompute_totals(ARRAY['{user(1)}', '{user(2)}']::{USER_ID_TYPE}[])"
        with waiting(filled, lambda other: other.execute(settle)) as failed:
            owner.execute("COMMIT")
        assert failed == []
        assert wrong_totals(owner) == []


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_settling_on_an_old_snapshot_is_refused(filled: Workspace, isolation: str) -> None:
    with filled.connect() as connection:
        connection.execute(f"BEGIN ISOLATION LEVEL {isolation}".encode())
        with pytest.raises(psycopg.errors.ActiveSqlTransaction, match="READ COMMITTED"):
            connection.execute(
                f"SELECT scoring.recompute_totals(ARRAY['{user(1)}']::{USER_ID_TYPE}[])".encode()
            )


def test_settling_works_where_old_snapshots_are_the_default(filled: Workspace) -> None:
    with filled.connect() as connection:
        connection.execute("DELETE FROM transactions WHERE amount = 20")
        connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation"
            " = ''repeatable read''', current_database()); END $$"
        )
    assert_recomputed(filled, 3)


def test_a_row_without_the_lock_near_the_holder_that_cannot_see_it(migrated: Workspace) -> None:
    """The holder's next row is counted without it. No read uses that row's totals until they are
    recomputed, by the user's next row or by the nightly build."""
    with psycopg.connect(migrated.url, autocommit=True) as holder, migrated.connect() as owner:
        owner.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 200)")
        with psycopg.connect(migrated.url) as waiter:
            holder.execute("BEGIN")
            holder.execute(INSERT, [1, at(1)])
            waiter.execute(INSERT, [2, at(2)])  # decided without the lock, and not committed yet
            holder.execute(INSERT, [3, at(3)])
            holder.execute("COMMIT")
            waiter.commit()
        rows = owner.execute(
            "SELECT amount, user_txns_before, features_caveat FROM transactions ORDER BY amount"
        ).fetchall()
        assert rows == [(1, 0, None), (2, None, "lock_timeout"), (3, 1, None)]
        assert_live_matches_row_scan(owner, [1], [at(60)])
        holder.execute(INSERT, [4, at(4)])
        assert_totals_are_right(owner)
        assert_live_matches_row_scan(owner, [1], [at(60)])


@pytest.mark.parametrize("ending", ["ROLLBACK TO SAVEPOINT s", "RELEASE SAVEPOINT s"])
def test_a_row_without_the_lock_in_a_savepoint(migrated: Workspace, ending: str) -> None:
    with psycopg.connect(migrated.url, autocommit=True) as holder, migrated.connect() as owner:
        owner.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 200)")
        with psycopg.connect(migrated.url) as waiter:
            holder.execute("BEGIN")
            holder.execute(INSERT, [1, at(1)])
            waiter.execute("SAVEPOINT s")
            waiter.execute(INSERT, [2, at(2)])
            holder.execute(INSERT, [3, at(3)])
            holder.execute("COMMIT")
            waiter.execute(ending.encode())
            waiter.execute(INSERT, [4, at(4)])  # the lock is free now
            waiter.commit()
        assert wrong_totals(owner) == []
        assert_live_matches_row_scan(owner, [1], [at(60)])
    assert_recomputed(migrated)
