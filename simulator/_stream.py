"""A live stream of transactions that continues where a history ends."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count as count_from
from itertools import islice
from typing import NamedTuple

import numpy as np

from simulator._config import SimulationConfig, SimulationConfigError, in_utc
from simulator._fraud import SCENARIOS, Scenario
from simulator._history import EPOCH, microseconds
from simulator._places import COUNTRIES
from simulator._purchases import DAY, UTC_REACH, purchases_of_day
from simulator._random import Stream, generator
from simulator._world import World, world_of
from simulator.user_keys import UserKey, user_key

_TAKEOVER_PACE = 0.02
"""In a live stream a takeover's hours pass as minutes, so that a short demo contains one."""


class LiveTransaction(NamedTuple):
    """A transaction to be inserted, with the label that is not known yet."""

    occurred_at: datetime
    """On the simulated clock, which advances with the users' purchases."""
    user_id: UserKey
    amount: Decimal
    merchant_id: int
    location: str
    is_fraud: bool
    scenario: str | None


def live_transactions(
    config: SimulationConfig,
    *,
    fraud_rate: float = 0.05,
    start: datetime | None = None,
    count: int | None = None,
) -> Iterator[LiveTransaction]:
    """Generate transactions of the same users and merchants in order of time.

    Args:
        config: The history that the stream continues.
        fraud_rate: Fraction of frauds to aim at, 0 to 0.5; campaigns start evenly, so that short streams have some.
        start: Start of the simulated clock; the end of the history by default.
        count: Number of transactions; None for an endless stream.

    Returns:
        An iterator of transactions.

    Raises:
        SimulationConfigError: Immediately, for a `fraud_rate` out of range or a negative count.
    """
    if not (math.isfinite(fraud_rate) and 0.0 <= fraud_rate <= 0.5):
        raise SimulationConfigError(f"fraud_rate must be a number from 0 to 0.5, not {fraud_rate!r}")
    if count is not None and count < 0:
        raise SimulationConfigError(f"count must not be negative, but is {count}")
    begin = in_utc(config.end if start is None else start)
    return islice(_stream(config, microseconds(begin), fraud_rate), count)


def _stream(config: SimulationConfig, start: int, fraud_rate: float) -> Iterator[LiveTransaction]:
    world = world_of(config.seed, config.users, config.merchants)
    rng = generator(config.seed, Stream.LIVE, start // DAY)
    number = count_from()
    pending: list[
        tuple[int, int, LiveTransaction]
    ] = []  # by time and number, so that equal times keep their order
    queue: list[Scenario] = []
    # The compromised merchants are those of the history, so their number follows from its fraud rate.
    fraud_load = config.users * config.transactions_per_user_day * max(config.fraud_rate, 1e-4)
    owed = 2.0 if fraud_rate else 0.0
    for at, user, merchant, cents in _purchases(config, world, start):
        while pending and pending[0][0] <= at:
            yield heapq.heappop(pending)[-1]
        yield _transaction(world, config, at, user, merchant, cents, None)
        owed += fraud_rate / (1.0 - fraud_rate)
        # A campaign starts at half its size in credit, so frauds come early and the rate is right on average.
        queue = queue or _scenarios(rng)
        while fraud_rate and owed >= queue[-1].mean_size / 2:
            scenario = queue.pop()
            frauds = scenario.draw(rng, world, at + 1, _TAKEOVER_PACE, fraud_load * scenario.fraction)
            owed -= len(frauds.at)
            columns = (frauds.at.tolist(), frauds.merchant.tolist(), frauds.cents.tolist())
            for time, shop, amount in zip(*columns, strict=True):
                fraud = _transaction(world, config, time, frauds.user, shop, amount, scenario.name)
                heapq.heappush(pending, (time, next(number), fraud))
            queue = queue or _scenarios(rng)


def _scenarios(rng: np.random.Generator) -> list[Scenario]:
    """The next campaigns, shuffled; scenarios with small campaigns are more frequent."""
    repeats = [1 if scenario.mean_size > 2 else 3 for scenario in SCENARIOS]
    return [SCENARIOS[index] for index in rng.permutation(np.repeat(np.arange(len(SCENARIOS)), repeats))]


def _purchases(config: SimulationConfig, world: World, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Legitimate purchases from `start` on, sorted by time: those that a longer history would contain."""
    held = np.empty((4, 0), dtype=np.int64)
    for day in count_from((start - UTC_REACH) // DAY):
        rows = purchases_of_day(world, day, config.transactions_per_user_day)
        of_day = np.stack([rows.at, rows.user, rows.merchant, rows.cents])
        held = np.concatenate([held, of_day[:, rows.at >= start]], axis=1)
        is_final = held[0] < (day + 1) * DAY - UTC_REACH  # later local days start after this time
        batch, held = held[:, is_final], held[:, ~is_final]
        order = np.argsort(batch[0], kind="stable")
        yield from zip(*batch[:, order].tolist(), strict=True)


def _transaction(
    world: World,
    config: SimulationConfig,
    at: int,
    user: int,
    merchant: int,
    cents: int,
    scenario: str | None,
) -> LiveTransaction:
    return LiveTransaction(
        occurred_at=EPOCH + timedelta(microseconds=at),
        user_id=user_key(user + 1, config.user_id_type),
        amount=Decimal(cents).scaleb(-2),
        merchant_id=int(world.merchants.ids[merchant]),
        location=COUNTRIES[world.merchants.country[merchant]].code,
        is_fraud=scenario is not None,
        scenario=scenario,
    )
