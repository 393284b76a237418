"""The running totals on the rows: whatever happens to them, the live read gives what the rows say one by one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from rowguard.operations.importer import load_history
from sql_scoring.features.totals import recompute_totals
from tests.db.features.totals import (
    assert_live_matches_row_scan,
    assert_recomputed,
    assert_totals_are_right,
    totals_pending_count,
)
from tests.fix_database import Workspace
from tests.user_keys import in_json

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
INSERT = "INSERT INTO transactions (user_id, amount, location, occurred_at) VALUES (%s, %s, %s, %s)"


def test_rows_in_order_carry_the_totals_before_them(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        for minute, amount in enumerate(("10.50", "0.0001", "7")):
            connection.execute(INSERT, [1, amount, None, NOW + timedelta(minutes=minute)])
        rows = connection.execute(
            "SELECT user_txns_before, user_amount_before, user_amount_squares_before FROM transactions"
            " ORDER BY occurred_at"
        ).fetchall()
    assert rows == [
        (0, 0, 0),
        (1, Decimal("10.50"), Decimal("110.25")),
        (2, Decimal("10.5001"), Decimal("110.25000001")),
    ]


def test_a_late_row_is_folded_in_at_once(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        for minute in (0, 10, 20, 15, 5, 20):
            connection.execute(INSERT, [1, minute + 1, None, NOW + timedelta(minutes=minute)])
        assert_totals_are_right(connection)


def test_a_row_late_by_very_many_is_left_to_the_nightly_build(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at)"
            " SELECT 1, g, %s::timestamptz + g * interval '1 minute' FROM generate_series(1, 100) AS g",
            [NOW],
        )
        connection.execute(INSERT, [1, 1, None, NOW])
        assert totals_pending_count(connection) == 1
        # It goes on from the row before it, and the read minds the open row.
        connection.execute(INSERT, [1, 1, None, NOW + timedelta(hours=3)])
        _assert_same_rows(connection, [1])
    assert_recomputed(migrated, 102)
    assert_recomputed(migrated, 0)


def test_a_refused_duplicate_leaves_no_trace(migrated: Workspace) -> None:
    insert = (
        "INSERT INTO transactions (user_id, amount, occurred_at, idempotency_key) VALUES (1, 1, %s, 'k')"
        " ON CONFLICT DO NOTHING"
    )
    with migrated.connect() as connection:
        connection.execute(insert, [NOW])
        connection.execute(INSERT, [1, 1, None, NOW + timedelta(hours=1)])
        connection.execute(insert, [NOW - timedelta(hours=1)])
        assert_totals_are_right(connection)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE transactions SET amount = amount + 1 WHERE user_txns_before = 3",
        "UPDATE transactions SET amount = amount + 1 WHERE user_txns_before = 0",
        "UPDATE transactions SET occurred_at = occurred_at + interval '150 seconds' WHERE user_txns_before = 3",
        "UPDATE transactions SET user_id = 2 WHERE user_txns_before = 3",
        "DELETE FROM transactions WHERE user_txns_before = 3",
        "DELETE FROM transactions WHERE user_txns_before IN (0, 3)",
    ],
)
def test_changes_by_the_owner_are_noticed(migrated: Workspace, change: str) -> None:
    with migrated.connect() as connection:
        for minute in range(6):
            connection.execute(INSERT, [1, minute + 1, "DE", NOW + timedelta(minutes=minute)])
        connection.execute(INSERT, [2, 5, "DE", NOW + timedelta(hours=1)])
        connection.execute(change.encode())
        _assert_same_rows(connection, [1, 2])
    assert_recomputed(migrated)


def test_deleting_the_oldest_rows_costs_nothing(migrated: Workspace) -> None:
    """What a retention job does: the totals of what is left start later, and differences are the same."""
    with migrated.connect() as connection:
        for minute in range(6):
            connection.execute(INSERT, [1, minute + 1, None, NOW + timedelta(minutes=minute)])
        connection.execute("DELETE FROM transactions WHERE user_txns_before < 3")
        assert totals_pending_count(connection) == 0
        _assert_same_rows(connection, [1])


def test_a_row_inserted_on_an_old_snapshot_gets_no_totals(migrated: Workspace) -> None:
    with migrated.connect() as other, psycopg.connect(migrated.url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM transactions")
        other.execute(INSERT, [1, 1, None, NOW])
        connection.execute(INSERT, [1, 2, None, NOW + timedelta(minutes=1)])
        connection.commit()
        other.execute(INSERT, [1, 3, None, NOW + timedelta(minutes=2)])
        _assert_same_rows(other, [1])
    assert_recomputed(migrated)


def test_loaded_history_goes_on_from_what_is_there(migrated: Workspace) -> None:
    """New users and rows after the last one get totals at once; rows in between are settled after the load."""
    with migrated.connect() as connection:
        connection.execute(INSERT, [1, 5, None, NOW])
        connection.execute(INSERT, [2, 5, None, NOW])
    _load(
        migrated,
        {1: [timedelta(hours=1), timedelta(hours=2)], 2: [timedelta(-1)], 3: [timedelta(0), timedelta(-1)]},
    )
    with migrated.connect() as connection:
        assert_totals_are_right(connection)
        _assert_same_rows(connection, [1, 2, 3])


def test_a_mark_that_is_deleted_passes_on(migrated: Workspace) -> None:
    """The first row says that totals behind it are wrong; when it goes too, the next one says so."""
    with migrated.connect() as connection:
        for minute in range(5):
            connection.execute(INSERT, [1, minute + 1, None, NOW + timedelta(minutes=minute)])
        connection.execute("DELETE FROM transactions WHERE user_txns_before = 2")
        connection.execute("DELETE FROM transactions WHERE user_txns_before IS NULL")
        assert totals_pending_count(connection) == 1
        _assert_same_rows(connection, [1])


@pytest.mark.parametrize("seed", [20, pytest.param(21, marks=pytest.mark.slow)])
def test_whatever_the_order_the_rows_are_those_of_the_rows(migrated: Workspace, seed: int) -> None:
    """Inserts in and out of order, several a statement, loads, changes and deletions, drawn at random."""
    chance = random.Random(seed)
    users = [1, 2, 3]
    with migrated.connect() as connection:
        for round_number in range(60):
            user = chance.choice(users)
            at = NOW + timedelta(minutes=chance.choice([0, 5, 30, 90, 60 * 24 * 8]) - round_number % 7)
            match chance.randrange(6):
                case 0 | 1:
                    connection.execute(INSERT, [user, chance.randrange(500), chance.choice(["DE", None]), at])
                case 2:
                    connection.execute(
                        "INSERT INTO transactions (user_id, amount, occurred_at)"
                        " SELECT %s, g, %s::timestamptz - g * interval '7 minutes' FROM generate_series(1, 5) AS g",
                        [user, at],
                    )
                case 3:
                    connection.execute(
                        "DELETE FROM transactions WHERE (user_id, transaction_id) = (SELECT user_id, transaction_id"
                        " FROM transactions WHERE user_id = %s ORDER BY occurred_at, transaction_id OFFSET %s LIMIT 1)",
                        [user, chance.randrange(6)],
                    )
                case 4:
                    _load(migrated, {user: [timedelta(minutes=chance.randrange(-900, 900))]})
                case 5:
                    recompute_totals(migrated.url)
            _assert_same_rows(connection, users)
    assert_recomputed(migrated)


def _load(workspace: Workspace, rows: dict[int, list[timedelta]]) -> None:
    table = pa.Table.from_pylist(
        [
            {**in_json({"user_id": user}), "occurred_at": NOW + offset, "amount": "3.25"}
            for user, offsets in rows.items()
            for offset in offsets
        ]
    )
    load_history(workspace.url, table.to_batches(), label_delay=timedelta(days=7), source="test")


def _assert_same_rows(connection: psycopg.Connection, users: list[int]) -> None:
    minutes = (-5000, -1, 0, 3, 61, 1440, 20000)
    assert_live_matches_row_scan(connection, users, [NOW + timedelta(minutes=m) for m in minutes])
