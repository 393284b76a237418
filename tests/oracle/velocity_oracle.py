"""Velocity recomputed in Python from the raw rows and the published meaning of each feature.

It shares no SQL with the trigger, the running totals or dbt.

A row's window includes the rows of its user that arrived before it, in the half-open interval (t - length, t]. Sums
are exact decimals; each value is rounded as the features define it: once to float64, then to float32.

Arrival is stamped under the user's lock, in the order in which rows become visible. A row that was stored without
the lock (features_caveat) becomes visible at its commit, which nothing records. It may itself have missed rows, so its
own values are not compared. For decisions of other rows near that time two values are right, with it and without it. What one decision saw, later ones see, and a row that is `open_for` old is
visible to all.

Not supported: rows inserted in REPEATABLE READ or stricter (they saw an old snapshot), and a server clock that is
set back. The faults do neither.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from itertools import combinations
from typing import Any

import psycopg

# A backfilled decision follows arrival.
ROWS = """
SELECT
    t.user_id, t.occurred_at, t.received_at, t.transaction_id, t.amount, t.location,
    t.feature_values,
    t.feature_values IS NOT NULL AND NOT t.is_history AND t.features_caveat IS NULL,
    coalesce(t.scored_at = t.received_at, false),
    t.features_caveat IS NOT NULL
FROM public.transactions AS t
WHERE t.user_id = ANY(%s)
ORDER BY t.user_id, t.occurred_at
"""
FEATURES = """
SELECT position, name, entity, measure, aggregate, window_minutes / 60
FROM features.feature_definitions
WHERE entity IN ('user', 'user_location') AND kind IN ('running_total', 'recency')
"""
# Users of the newest live rows.
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
SUPPORTED_AGGREGATES = {"count", "sum", "mean", "stddev", "minutes_since_last"}
# Clients run one statement per transaction, so a row stored without the lock is committed within this time.
OPEN_FOR = timedelta(seconds=5)
# A decision reads shortly after its stamp, and may see rows stamped and committed in between.
STALL = timedelta(seconds=1)
# Every combination of up to this many open rows is compared; older rows count as committed.
MAX_OPEN_ROWS = 12
# Sums of squares of the largest amounts have some 40 digits; Python's own context would round them.
EXACT = Context(prec=100)


@dataclass(frozen=True)
class Recomputed:
    """Scored rows and values compared, and the differing ones: a count and a few examples.

    Attributes:
        near_open_rows: (user_id, transaction_id) of Decisions that are right, but not by arrival: they missed a row stored
            without the lock that was not committed yet, or saw one stamped after them.
    """

    rows: int
    values: int
    wrong: int
    examples: tuple[str, ...]
    near_open_rows: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class _Row:
    at: datetime
    received: datetime
    transaction_id: int
    amount: Decimal
    location: str | None
    values: Sequence[float | None] | None
    is_decided: bool
    """Has values to compare."""
    is_live: bool
    """Scored by its INSERT, not backfilled."""
    is_unlocked: bool
    """Stored without the user's lock."""


@dataclass(frozen=True)
class _Feature:
    position: int
    name: str
    entity: str
    aggregate: str
    hours: int


def recompute(
    connection: psycopg.Connection[Any],
    *,
    limit: int = 100_000,
    since: datetime | None = None,
    open_for: timedelta = OPEN_FOR,
) -> Recomputed:
    """Compare the stored feature values of scored rows with recomputed ones.

    Args:
        connection: Any role that reads the tables.
        limit: Compare the users of the newest `limit` live rows.
        since: Compare rows that arrived from this time on; None for all.
        open_for: How long a transaction may be open that stored a row without the user's lock.

    Returns:
        Counts, a few examples, and the decisions that are right only near an open row.
    """
    users = connection.execute(USERS, [limit]).fetchone()
    features = [
        _Feature(position, name, entity, aggregate, hours)
        for position, name, entity, _, aggregate, hours in connection.execute(FEATURES).fetchall()
    ]
    unknown = {feature.aggregate for feature in features} - SUPPORTED_AGGREGATES
    assert not unknown, f"unsupported aggregates: {unknown}"
    rows = wrong = 0
    examples: list[str] = []
    near_open_rows: set[tuple[int, int]] = set()
    by_user: dict[int, list[_Row]] = {}
    for user, at, received, *rest in connection.execute(ROWS, [users[0] if users else []]):
        # Python computes with local wall-clock time, which jumps twice a year.
        by_user.setdefault(user, []).append(_Row(at.astimezone(UTC), received.astimezone(UTC), *rest))
    with localcontext(EXACT):
        for user, own in by_user.items():
            history = _User(own, features, open_for)
            # In the order of their locks: a row once visible remains visible.
            for row in sorted(own, key=lambda row: row.received):
                if not row.is_decided or (since and row.received < since):
                    continue
                rows += 1
                differing = history.differing(row)
                wrong += len(differing)
                examples += [f"user {user}, {row.transaction_id}, {text}" for text in differing]
            near_open_rows |= {(user, number) for number in history.near_open_rows}
    return Recomputed(rows, rows * len(features), wrong, tuple(examples[:5]), frozenset(near_open_rows))


class _User:
    """A user's rows, and which rows without the lock the decisions so far can have seen."""

    def __init__(self, own: list[_Row], features: list[_Feature], open_for: timedelta) -> None:
        self._own = own
        self._times = [row.at for row in own]
        self._unlocked = sorted((row for row in own if row.is_unlocked), key=lambda row: row.received)
        self._features = features
        self._open_for = open_for
        self._can_have_seen: set[frozenset[int]] = {frozenset()}
        self.near_open_rows: set[int] = set()

    def differing(self, row: _Row) -> list[str]:
        """Descriptions of wrong values; empty when some possible order of commits explains all of them."""
        by_arrival = frozenset(
            other.transaction_id for other in self._unlocked if other.received < row.received
        )
        differing = self._compare(row, by_arrival)
        open_rows = [
            other.transaction_id
            for other in self._unlocked
            if row.is_live and other is not row and -STALL < row.received - other.received < self._open_for
        ][-MAX_OPEN_ROWS:]
        if not open_rows:
            return differing
        right = {
            seen
            for seen in self._possible(by_arrival, open_rows)
            if not (differing if seen == by_arrival else self._compare(row, seen))
        }
        if not right:
            return differing
        if by_arrival not in right:
            self.near_open_rows.add(row.transaction_id)
        self._can_have_seen = right
        return []

    def _possible(self, by_arrival: frozenset[int], open_rows: list[int]) -> Iterator[frozenset[int]]:
        """The sets of rows without the lock that can have been visible to the row."""
        settled = by_arrival.difference(open_rows)
        for count in range(len(open_rows) + 1):
            for some in combinations(open_rows, count):
                seen = settled.union(some)
                if any(before.intersection(open_rows) <= seen for before in self._can_have_seen):
                    yield seen

    def _compare(self, row: _Row, seen: frozenset[int]) -> list[str]:
        assert row.values is not None
        windows: dict[tuple[str, int], list[_Row]] = {}
        differing = []
        for feature in self._features:
            key = feature.entity, feature.hours
            if key not in windows:
                windows[key] = self._window(row, *key, seen)
            expected = _value(windows[key], row, feature.entity, feature.aggregate)
            value = row.values[feature.position - 1]  # the driver reads the shortest text of a float32
            stored = None if value is None else _real(value)
            if expected != stored:
                differing.append(f"{feature.name}: {stored}, not {expected}")
        return differing

    def _window(self, row: _Row, entity: str, hours: int, seen: frozenset[int]) -> list[_Row]:
        """The earlier rows of the user, or of the user at this location, that the row's window includes."""
        first = bisect_right(self._times, row.at - timedelta(hours=hours))
        return [
            other
            for other in self._own[first : bisect_right(self._times, row.at)]
            if (other.transaction_id in seen if other.is_unlocked else other.received < row.received)
            and (entity == "user" or other.location == row.location)
        ]


def _value(window: list[_Row], row: _Row, entity: str, aggregate: str) -> float | None:
    if entity == "user_location" and row.location is None:
        return None
    if aggregate == "count":
        return _real(float(len(window)))
    if not window:
        return 0.0 if aggregate == "sum" else None
    if aggregate == "minutes_since_last":
        since = row.at - max(other.at for other in window)
        # float64 in the steps that date_part() takes: the part of a day, then the days
        seconds = (since.seconds * 1_000_000 + since.microseconds) / 1_000_000 + 86_400.0 * since.days
        return _real(seconds / 60)
    amounts = [other.amount for other in window]
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
    """As float32, the channel that PostgreSQL casts."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
