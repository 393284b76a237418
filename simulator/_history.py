"""A time range of the world as Arrow tables, ready for COPY."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from simulator._config import SimulationConfig
from simulator._fraud import SCENARIOS, frauds_of_day
from simulator._places import CATEGORIES, COUNTRIES
from simulator._purchases import DAY, UTC_REACH, Rows, purchases_of_day
from simulator._random import Ints
from simulator._world import World, world_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_CAMPAIGN_DAYS = 14

USERS_SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("home_location", pa.string(), nullable=False),
    ]
)
MERCHANTS_SCHEMA = pa.schema(
    [
        pa.field("merchant_id", pa.int64(), nullable=False),
        pa.field("location", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
    ]
)
TRANSACTIONS_SCHEMA = pa.schema(
    [
        pa.field("transaction_id", pa.int64(), nullable=False),
        pa.field("occurred_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("merchant_id", pa.int64(), nullable=False),
        pa.field("amount", pa.decimal128(14, 2), nullable=False),
        pa.field("location", pa.string(), nullable=False),
        pa.field("is_fraud", pa.bool_(), nullable=False),
        pa.field("scenario", pa.dictionary(pa.int8(), pa.string())),
        pa.field("labelled_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulated history.

    Attributes:
        config: Its parameters.
        users: One row per user (USERS_SCHEMA).
        merchants: One row per merchant, by id (MERCHANTS_SCHEMA).
        transactions: One row per transaction, sorted by `occurred_at` (TRANSACTIONS_SCHEMA). From `labelled_at`
            on the label `is_fraud` is known, which may be after the end of the history. `scenario` is null for
            legitimate transactions.
    """

    config: SimulationConfig
    users: pa.Table
    merchants: pa.Table
    transactions: pa.Table


def simulate(config: SimulationConfig, *, on_day: Callable[[int, int], None] | None = None) -> Simulation:
    """Simulate a history; a million transactions take about 3 seconds and 250 MB.

    Args:
        config: What to simulate.
        on_day: Called with `(done, total)` after each day.

    Returns:
        Users, merchants and transactions.
    """
    world = world_of(config.seed, config.users, config.merchants)
    start, end = microseconds(config.starts_at), microseconds(config.ends_at)
    # Local days overlap UTC days, and campaigns that started before the history continue in it.
    days = range((start - UTC_REACH) // DAY, (end + UTC_REACH) // DAY + 1)
    parts: list[Rows] = []
    for day in range(days.start - _LONGEST_CAMPAIGN_DAYS, days.start):
        parts.append(_within(frauds_of_day(world, day, *_load(config)), start, end))
    for done, day in enumerate(days, start=1):
        parts.append(_within(purchases_of_day(world, day, config.transactions_per_user_day), start, end))
        parts.append(_within(frauds_of_day(world, day, *_load(config)), start, end))
        if on_day:
            on_day(done, len(days))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    del parts
    order = np.argsort(columns[0], kind="stable")
    rows = Rows(*(column[order] for column in columns))
    return Simulation(
        config=config,
        users=users_table(world),
        merchants=merchants_table(world),
        transactions=_transactions_table(world, rows, config),
    )


def microseconds(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def users_table(world: World) -> pa.Table:
    """One row per user."""
    codes = pa.array([country.code for country in COUNTRIES])
    ids = np.arange(1, world.users.count + 1)
    return pa.table([pa.array(ids), codes.take(pa.array(world.users.home))], schema=USERS_SCHEMA)


def merchants_table(world: World) -> pa.Table:
    """One row per merchant, by id."""
    order = np.argsort(world.merchants.ids, kind="stable")
    codes = pa.array([country.code for country in COUNTRIES])
    categories = pa.array([category.name for category in CATEGORIES])
    columns = [
        pa.array(world.merchants.ids[order]),
        codes.take(pa.array(world.merchants.country[order])),
        categories.take(pa.array(world.merchants.category[order])),
    ]
    return pa.table(columns, schema=MERCHANTS_SCHEMA)


def _load(config: SimulationConfig) -> tuple[float, float]:
    return config.transactions_per_user_day, config.fraud_rate


def _within(rows: Rows, start: int, end: int) -> Rows:
    """The rows of a time range, in the smallest types, as there may be many millions."""
    keep = np.flatnonzero((rows.at >= start) & (rows.at < end))
    types: tuple[Any, ...] = (np.int64, np.int32, np.int32, np.int32, np.int8, np.int64)
    return Rows(*(column[keep].astype(kind) for column, kind in zip(rows, types, strict=True)))


def _transactions_table(world: World, rows: Rows, config: SimulationConfig) -> pa.Table:
    count = len(rows.at)
    is_fraud = rows.scenario >= 0
    delay = round(config.legitimate_after_days * DAY)
    labelled_at = np.where(is_fraud, rows.label_at, rows.at + delay)
    codes = pa.array([country.code for country in COUNTRIES])
    names = pa.array([scenario.name for scenario in SCENARIOS])
    columns = [
        pa.array(np.arange(1, count + 1)),
        pa.array(rows.at).view(pa.timestamp("us", tz="UTC")),
        pa.array(rows.user.astype(np.int64) + 1),
        pa.array(world.merchants.ids[rows.merchant]),
        decimals(rows.cents.astype(np.int64)),
        codes.take(pa.array(world.merchants.country[rows.merchant])),
        pa.array(is_fraud),
        pa.DictionaryArray.from_arrays(pa.array(rows.scenario, mask=~is_fraud), names),
        pa.array(labelled_at).view(pa.timestamp("us", tz="UTC")),
    ]
    return pa.table(columns, schema=TRANSACTIONS_SCHEMA)


def decimals(cents: Ints) -> pa.Array:
    """Convert whole cents to decimals by writing the 128-bit numbers directly."""
    halves = np.empty((len(cents), 2), dtype="<i8")
    halves[:, 0] = cents
    halves[:, 1] = cents >> 63
    return pa.Decimal128Array.from_buffers(pa.decimal128(14, 2), len(cents), [None, pa.py_buffer(halves)])
