"""Rollups over days, against the same computed in Python from transactions and labels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg

from tests.db.features.builds import CompiledSql, built_hash8, refresh
from tests.db.features.conftest import ROLLUPS
from tests.db.features.random_rows import insert, label, load, some_rows
from tests.fix_database import Workspace

TODAY = datetime.now(UTC).date()
Event = tuple[int, date, date, float, list[tuple[date, bool]]]  # merchant, date, known from, amount, labels


def test_rollups_are_those_of_the_transactions(extended: Workspace, extended_sql: CompiledSql) -> None:
    """Live and late rows, loads, labels of any date given and withdrawn, rows changed and deleted."""
    draw = random.Random(3)
    load(extended, draw, 150, days=16)
    with extended.connect() as connection:
        for _ in range(3):
            insert(connection, draw, late_hours=200)
            label(connection, draw, past_hours=300)
            for act in (_withdraw, _delete, _move):
                act(connection, draw)
            refresh(connection, extended_sql, "merchant_risk")
            assert _stored(connection) == _expected(connection)


def _withdraw(connection: psycopg.Connection, draw: random.Random) -> None:
    """Labels that the owner deletes."""
    connection.execute(
        "DELETE FROM fraud_labels WHERE label_id IN (SELECT label_id FROM fraud_labels WHERE is_fraud"
        " ORDER BY hashint8extended(label_id, %s) LIMIT 3)",
        [draw.randrange(1000)],
    )


def _delete(connection: psycopg.Connection, draw: random.Random) -> None:
    for user, transaction in some_rows(connection, draw, 4):
        connection.execute(
            "DELETE FROM transactions WHERE user_id = %s AND transaction_id = %s", [user, transaction]
        )


def _move(connection: psycopg.Connection, draw: random.Random) -> None:
    """Rows of another merchant: those of merchant 4 were 3's all along."""
    connection.execute("UPDATE transactions SET merchant_id = 3 WHERE merchant_id = 4 AND user_id < 3")


def _days() -> Iterator[date]:
    for number in range(-20, 15):
        yield TODAY + timedelta(days=number)


def _stored(connection: psycopg.Connection) -> dict[tuple[int, date], tuple[float | None, ...]]:
    """What a transaction of each day reads."""
    rows = connection.execute(
        f"SELECT merchant_id, valid_from, {', '.join(ROLLUPS)}"
        f" FROM features.merchant_risk_{built_hash8(connection)} ORDER BY 1, 2".encode()
    ).fetchall()
    nothing = tuple(
        None if aggregate in ("mean", "fraud_rate") else 0.0 for _, aggregate, *_ in ROLLUPS.values()
    )
    values_by_day = {}
    for merchant in range(1, 10):
        for day in _days():
            past = [values for who, start, *values in rows if who == merchant and start <= day]
            values_by_day[merchant, day] = tuple(past[-1]) if past else nothing
    return values_by_day


def _expected(connection: psycopg.Connection) -> dict[tuple[int, date], tuple[float | None, ...]]:
    """The same from transactions and labels, day by day."""
    events = _events(connection)
    values_by_day = {}
    for merchant in range(1, 10):
        own_events = [event for event in events if event[0] == merchant]
        for day in _days():
            values_by_day[merchant, day] = tuple(
                _value(own_events, day, *feature[1:]) for feature in ROLLUPS.values()
            )
    return values_by_day


def _value(events: list[Event], day: date, aggregate: str, days: int, delay: int) -> float | None:
    end = day - timedelta(days=delay)
    seen = [event for event in events if end - timedelta(days=days) <= event[1] < end and event[2] < day]
    if aggregate in ("sum", "mean"):
        total = sum(event[3] for event in seen)
        return _real(total) if aggregate == "sum" else _real(total / len(seen)) if seen else None
    frauds = 0
    for event in seen:
        known = [is_fraud for known_on, is_fraud in event[4] if known_on < day]
        frauds += bool(known and known[-1])
    if aggregate == "count":
        return float(len(seen))
    if aggregate == "fraud_count":
        return float(frauds)
    return _real(frauds / len(seen)) if seen else None


def _real(value: float) -> float:
    return float(str(np.float32(value)))


def _events(connection: psycopg.Connection) -> list[Event]:
    connection.execute("SET timezone = 'UTC'")
    rows = connection.execute(
        "SELECT t.merchant_id, t.occurred_at::date, (CASE WHEN t.is_history THEN t.occurred_at"
        "   ELSE t.received_at END)::date, t.amount::float8,"
        " coalesce(array_agg(l.labelled_at::date ORDER BY l.labelled_at, l.label_id)"
        "   FILTER (WHERE l.label_id IS NOT NULL), '{}'),"
        " coalesce(array_agg(l.is_fraud ORDER BY l.labelled_at, l.label_id)"
        "   FILTER (WHERE l.label_id IS NOT NULL), '{}')"
        " FROM transactions AS t LEFT JOIN fraud_labels AS l USING (user_id, transaction_id)"
        " WHERE t.merchant_id IS NOT NULL GROUP BY t.user_id, t.transaction_id"
    ).fetchall()
    return [
        (who, day, known, amount, list(zip(found_on, frauds, strict=True)))
        for who, day, known, amount, found_on, frauds in rows
    ]
