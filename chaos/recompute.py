"""Velocity reckoned anew, in Python, from the raw rows and by the published meaning of each feature: it shares no SQL
with the trigger, the totals or dbt.

A row saw those of its user that had arrived before it, in the half-open window (t - length, t]. Sums are exact
decimals; each value is rounded as the features say: once to float64, then to float32.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

ROWS = """
SELECT user_id, occurred_at, received_at, transaction_id, amount, location, is_history, feature_values
FROM public.transactions
WHERE user_id = ANY(%s)
ORDER BY user_id, occurred_at
"""
FEATURES = """
SELECT position, name, entity, measure, aggregate, window_hours
FROM features.feature_definitions
WHERE entity IN ('user', 'user_location') AND measure IN ('transaction', 'amount') AND delay_days IS NULL
"""
# Of live rows only: what the last ones saw is what matters most.
USERS = """
SELECT array_agg(DISTINCT t.user_id)
FROM (
    SELECT user_id
    FROM public.transactions
    WHERE scored_at = received_at AND feature_values IS NOT NULL
    ORDER BY received_at DESC
    LIMIT %s
) AS t
"""
KNOWN = {"count", "sum", "mean", "stddev", "minutes_since"}


@dataclass(frozen=True)
class Recomputed:
    """Decided rows and values compared, and what differs: the first few in words."""

    rows: int
    values: int
    wrong: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    at: datetime
    received: datetime
    transaction_id: int
    amount: Decimal
    location: str | None
    values: Sequence[float | None] | None
    is_history: bool


def recompute(
    connection: psycopg.Connection[Any], *, limit: int = 100_000, since: datetime | None = None
) -> Recomputed:
    """Compare the decided rows of the users of the last `limit` live rows; those that arrived `since`, or all."""
    users = connection.execute(USERS, [limit]).fetchone()
    features = connection.execute(FEATURES).fetchall()
    unknown = {feature[4] for feature in features} - KNOWN
    assert not unknown, f"no meaning is written down here for {unknown}"
    rows = values = wrong = 0
    examples: list[str] = []
    by_user: dict[int, list[_Row]] = {}
    for user, at, received, number, amount, location, is_history, seen in connection.execute(
        ROWS, [users[0] if users else []]
    ):
        by_user.setdefault(user, []).append(_Row(at, received, number, amount, location, seen, is_history))
    for user, own in by_user.items():
        times = [row.at for row in own]
        for row in own:
            if row.values is None or row.is_history or (since and row.received < since):
                continue
            rows += 1
            windows: dict[tuple[str, int], list[_Row]] = {}
            for position, name, entity, _, aggregate, hours in features:
                values += 1
                if (entity, hours) not in windows:
                    windows[entity, hours] = _window(own, times, row, entity, hours)
                wanted = _value(windows[entity, hours], row, entity, aggregate)
                told = row.values[position - 1]  # the driver reads the shortest text of a float32
                stored = None if told is None else _real(told)
                if wanted != stored:
                    wrong += 1
                    if len(examples) < 5:
                        examples.append(f"user {user}, {row.transaction_id}, {name}: {stored}, not {wanted}")
    return Recomputed(rows, values, wrong, tuple(examples))


def _window(own: list[_Row], times: list[datetime], row: _Row, entity: str, hours: int) -> list[_Row]:
    """What the row saw of its user, or of its user at its location."""
    first = bisect_right(times, row.at - timedelta(hours=hours))
    return [
        one
        for one in own[first : bisect_right(times, row.at)]
        if one.received < row.received and (entity == "user" or one.location == row.location)
    ]


def _value(window: list[_Row], row: _Row, entity: str, aggregate: str) -> float | None:
    if entity == "user_location" and row.location is None:
        return None
    if aggregate == "count":
        return _real(float(len(window)))
    if not window:
        return 0.0 if aggregate == "sum" else None
    if aggregate == "minutes_since":
        since = row.at - max(one.at for one in window)
        # float64 in the steps that date_part() takes: the part of a day, then the days
        seconds = (since.seconds * 1_000_000 + since.microseconds) / 1_000_000 + 86_400.0 * since.days
        return _real(seconds / 60)
    amounts = [one.amount for one in window]
    total = sum(amounts, Decimal(0))
    if aggregate == "sum":
        return _real(float(total))
    count = len(amounts)
    if aggregate == "mean":
        return _real(float(total) / count)
    if count < 2:
        return None
    squares = sum((amount * amount for amount in amounts), Decimal(0))
    return _real(math.sqrt(float(count * squares - total * total) / float(count * (count - 1))))


def _real(value: float) -> float:
    """As float32, the way that PostgreSQL casts."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
