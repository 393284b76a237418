"""A time range of the world as Arrow tables, ready for COPY."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from simulator._config import SimulationConfig
from simulator._fraud import SCENARIOS, frauds_of_day
from simulator._places import COUNTRIES
from simulator._purchases import DAY, UTC_REACH, Rows, purchases_of_day
from simulator._world import World, world_of
from simulator.user_keys import user_keys

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_CAMPAIGN_DAYS = 14

_TIME = pa.timestamp("us", tz="UTC")
_AMOUNT = pa.decimal128(14, 2)


# Ids of users are texts where user_id is no bigint.
USERS_SCHEMA = pa.schema({"user_id": pa.int64(), "home_location": pa.string()})
TRANSACTIONS_SCHEMA = pa.schema(
    {
        "occurred_at": _TIME,
        "user_id": pa.int64(),
        "merchant_id": pa.int64(),
        "amount": _AMOUNT,
        "location": pa.string(),
        "is_fraud": pa.bool_(),
        "scenario": pa.dictionary(pa.int8(), pa.string()),
        "labelled_at": _TIME,
    }
)
_COUNTRY_CODES = pa.array([country.code for country in COUNTRIES])


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulated history.

    Attributes:
        users: One row per user (USERS_SCHEMA).
        transactions: One row per transaction, sorted by `occurred_at` (TRANSACTIONS_SCHEMA). From `labelled_at`
            on the label `is_fraud` is known, which may be after the end of the history. `scenario` is null for
            legitimate transactions.
    """

    users: pa.Table
    transactions: pa.Table


def simulate(config: SimulationConfig) -> Simulation:
    """Simulate a history; a million transactions take about 3 seconds and 250 MB.

    Args:
        config: What to simulate.

    Returns:
        Users and transactions.
    """
    world = world_of(config.seed, config.users, config.merchants)
    start, end = microseconds(config.starts_at), microseconds(config.end)
    # Local days overlap UTC days, and campaigns that started before the history continue in it.
    days = range((start - UTC_REACH) // DAY, (end + UTC_REACH) // DAY + 1)
    rate = config.transactions_per_user_day
    parts: list[Rows] = []
    for day in range(days.start - _LONGEST_CAMPAIGN_DAYS, days.stop):
        if day in days:
            parts.append(_within(purchases_of_day(world, day, rate), start, end))
        parts.append(_within(frauds_of_day(world, day, rate, config.fraud_rate), start, end))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    del parts
    order = np.argsort(columns[0], kind="stable")
    rows = Rows(*(column[order] for column in columns))
    return Simulation(_users_table(world, config), _transactions_table(world, rows, config))


def microseconds(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - EPOCH) // timedelta(microseconds=1)


def _users_table(world: World, config: SimulationConfig) -> pa.Table:
    ids = user_keys(np.arange(1, world.users.count + 1), config.user_id_type)
    return pa.table([ids, _COUNTRY_CODES.take(pa.array(world.users.home))], names=USERS_SCHEMA.names)


def _within(rows: Rows, start: int, end: int) -> Rows:
    """The rows of a time range, in the smallest types, as there may be many millions."""
    keep = np.flatnonzero((rows.at >= start) & (rows.at < end))
    types: tuple[Any, ...] = (np.int64, np.int32, np.int32, np.int32, np.int8, np.int64)
    return Rows(*(column[keep].astype(kind) for column, kind in zip(rows, types, strict=True)))


def _transactions_table(world: World, rows: Rows, config: SimulationConfig) -> pa.Table:
    is_fraud = rows.scenario >= 0
    delay = round(config.legitimate_after_days * DAY)
    labelled_at = np.where(is_fraud, rows.label_at, rows.at + delay)
    names = pa.array([scenario.name for scenario in SCENARIOS])
    columns = [
        pa.array(rows.at).view(_TIME),
        user_keys(rows.user.astype(np.int64) + 1, config.user_id_type),
        pa.array(world.merchants.ids[rows.merchant]),
        pa.array(rows.cents.astype(np.int64)).cast(pa.decimal128(19)).view(_AMOUNT),  # cents are hundredths
        _COUNTRY_CODES.take(pa.array(world.merchants.country[rows.merchant])),
        pa.array(is_fraud),
        pa.DictionaryArray.from_arrays(pa.array(rows.scenario, mask=~is_fraud), names),
        pa.array(labelled_at).view(_TIME),
    ]
    return pa.table(columns, names=TRANSACTIONS_SCHEMA.names)
