"""Velocity computed a second time, in Python, from the raw rows and by the published meaning of each feature: it shares no SQL
with the trigger, the totals or dbt.

A row saw those of its user that had arrived before it, in the half-open window (t - length, t]. Sums are exact
decimals; each value is rounded as the features say: once to float64, then to float32.

Arrival is stamped under the user's lock, and so is the order in which rows became visible. Only a row that was
stored without the lock, because it did not come in time, becomes visible when its transaction commits, which nothing
records: decisions around that moment saw it or did not. For them there are two right values, with it and without,
and no third: what one decision saw, later ones see, and a row that is `open_for` old is seen by all.

What this cannot know: rows inserted in REPEATABLE READ or stricter saw an old snapshot, and a server clock that is
set back makes arrivals change places. The faults do neither.
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

from sql_scoring.reasons import WITHOUT_LOCK

# A row that was decided afterwards follows arrival; its first reason is stored elsewhere.
ROWS = """
SELECT
    t.user_id, t.occurred_at, t.received_at, t.transaction_id, t.amount, t.location,
    t.feature_values,
    t.feature_values IS NOT NULL AND NOT t.is_history,
    coalesce(t.scored_at = t.received_at, false),
    coalesce(coalesce(t.unscored_reason, r.unscored_reason) LIKE %s, false)
FROM public.transactions AS t
LEFT JOIN scoring.rescored_transactions AS r ON t.user_id = r.user_id AND t.transaction_id = r.transaction_id
WHERE t.user_id = ANY(%s)
ORDER BY t.user_id, t.occurred_at
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
# Clients store one statement a transaction: what they stored without the lock is committed within this time.
OPEN_FOR = timedelta(seconds=5)
# A decision reads a moment after its stamp, and may see what was stamped and committed in between.
STALL = timedelta(seconds=1)
# Of so many at once every combination is tried; older ones are taken to be committed.
MOST_OPEN = 12
# Sums of squares of the largest amounts have some 40 digits; Python's own context would round them.
EXACT = Context(prec=100)


@dataclass(frozen=True)
class Recomputed:
    """Decided rows and values compared, and what differs: the first few in words.

    Attributes:
        beside_open: (user_id, transaction_id) of decisions that are right, but not by arrival: they missed a row
            stored without the lock that was not committed yet, or saw one stamped after them.
    """

    rows: int
    values: int
    wrong: int
    examples: tuple[str, ...]
    beside_open: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class _Row:
    at: datetime
    received: datetime
    transaction_id: int
    amount: Decimal
    location: str | None
    values: Sequence[float | None] | None
    is_decided: bool
    """Has values that are to be compared."""
    is_live: bool
    """Decided when it was inserted, not afterwards."""
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
    """Compare the decided rows of the users of the last `limit` live rows; those that arrived `since`, or all.

    Args:
        open_for: how long a transaction may have been open that stored a row without the user's lock.
    """
    users = connection.execute(USERS, [limit]).fetchone()
    features = [
        _Feature(position, name, entity, aggregate, hours)
        for position, name, entity, _, aggregate, hours in connection.execute(FEATURES).fetchall()
    ]
    unknown = {feature.aggregate for feature in features} - KNOWN
    assert not unknown, f"no meaning is written down here for {unknown}"
    rows = wrong = 0
    examples: list[str] = []
    beside_open: set[tuple[int, int]] = set()
    by_user: dict[int, list[_Row]] = {}
    for user, at, received, *rest in connection.execute(ROWS, [WITHOUT_LOCK, users[0] if users else []]):
        # Python computes with the clock on the wall of other zones, which jumps twice a year.
        by_user.setdefault(user, []).append(_Row(at.astimezone(UTC), received.astimezone(UTC), *rest))
    with localcontext(EXACT):
        for user, own in by_user.items():
            history = _User(own, features, open_for)
            # In the order of their locks, as what was seen once is seen from then on.
            for row in sorted(own, key=lambda one: one.received):
                if not row.is_decided or (since and row.received < since):
                    continue
                rows += 1
                differing = history.differing(row)
                wrong += len(differing)
                examples += [f"user {user}, {row.transaction_id}, {text}" for text in differing]
            beside_open |= {(user, number) for number in history.beside_open}
    return Recomputed(rows, rows * len(features), wrong, tuple(examples[:5]), frozenset(beside_open))


class _User:
    """A user's rows, and which of those without the lock the decisions so far can have seen."""

    def __init__(self, own: list[_Row], features: list[_Feature], open_for: timedelta) -> None:
        self._own = own
        self._times = [row.at for row in own]
        self._unlocked = sorted((row for row in own if row.is_unlocked), key=lambda row: row.received)
        self._features = features
        self._open_for = open_for
        self._can_have_seen: set[frozenset[int]] = {frozenset()}
        self.beside_open: set[int] = set()

    def differing(self, row: _Row) -> list[str]:
        """The values that are none of the right ones, in words: none, or what differs by arrival."""
        by_arrival = frozenset(one.transaction_id for one in self._unlocked if one.received < row.received)
        differing = self._compare(row, by_arrival)
        open_rows = [
            one.transaction_id
            for one in self._unlocked
            if row.is_live and one is not row and -STALL < row.received - one.received < self._open_for
        ][-MOST_OPEN:]
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
            self.beside_open.add(row.transaction_id)
        self._can_have_seen = right
        return []

    def _possible(self, by_arrival: frozenset[int], open_rows: list[int]) -> Iterator[frozenset[int]]:
        """What the row can have seen of those without the lock."""
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
            wanted = _value(windows[key], row, feature.entity, feature.aggregate)
            told = row.values[feature.position - 1]  # the driver reads the shortest text of a float32
            stored = None if told is None else _real(told)
            if wanted != stored:
                differing.append(f"{feature.name}: {stored}, not {wanted}")
        return differing

    def _window(self, row: _Row, entity: str, hours: int, seen: frozenset[int]) -> list[_Row]:
        """What the row saw of its user, or of its user at its location."""
        first = bisect_right(self._times, row.at - timedelta(hours=hours))
        return [
            one
            for one in self._own[first : bisect_right(self._times, row.at)]
            if (one.transaction_id in seen if one.is_unlocked else one.received < row.received)
            and (entity == "user" or one.location == row.location)
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
