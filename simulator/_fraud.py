"""The fraud scenarios and the transactions of their campaigns.

A campaign is the misuse of one card by one fraudster (for a compromised merchant, one transaction with a card
that paid there). Campaigns are few, so they are drawn individually, which keeps each scenario readable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from simulator._places import COUNTRIES, RESALE
from simulator._purchases import DAY, HOUR, MINUTE, SECOND, Rows, cents_of
from simulator._random import Floats, Ints, Stream, cumulate, exp, generator, pick, pick_within
from simulator._world import PERIOD_DAYS, World, typical_amount, whereabouts


class Scenario(NamedTuple):
    """A scenario's fraction of all frauds, the mean number of transactions per campaign, and how to draw one.

    `draw` takes the start (microseconds since 1970), a factor on the hours between a takeover's transactions (1 is
    realistic), and this scenario's expected frauds per day, which set the number of compromised merchants.
    """

    name: str
    fraction: float
    mean_size: float
    draw: Callable[[np.random.Generator, World, int, float, float], Campaign]


# Indexes of streams that no day since 1970 has.
_PHASES = 10_000_000
_WEAK_SHOPS = 20_000_000

_FRAUDS_PER_MERCHANT_DAY = 2.2
_CAMPAIGN_DAYS = (28, 64)


class Campaign(NamedTuple):
    """Transactions of one card in order of time: microseconds since 1970, indexes, amounts in cents."""

    at: Ints
    user: int
    merchant: Ints
    cents: Ints


def frauds_of_day(world: World, day: int, per_user_day: float, fraud_rate: float) -> Rows:
    """The transactions of every campaign that starts on a UTC day; some of them are on later days."""
    rng = generator(world.seed, Stream.FRAUD, day)
    started: list[tuple[int, Campaign]] = []
    if fraud_rate > 0:
        average = world.users.count * per_user_day * fraud_rate / (1.0 - fraud_rate)
        for index, scenario in enumerate(SCENARIOS):
            per_day = average * scenario.fraction / scenario.mean_size
            # Spread evenly over days rather than randomly, so that even a small world has its frauds.
            phase = generator(world.seed, Stream.FRAUD, _PHASES + index).random()
            for _ in range(int(day * per_day + phase), int((day + 1) * per_day + phase)):
                at = day * DAY + int(rng.integers(0, DAY))
                started.append((index, scenario.draw(rng, world, at, 1.0, average * scenario.fraction)))
    return _collect(rng, started)


def _collect(rng: np.random.Generator, started: list[tuple[int, Campaign]]) -> Rows:
    if not started:
        return Rows(*[np.empty(0, dtype=np.int64)] * 6)
    scenarios, campaigns = zip(*started, strict=True)
    at, users, merchant, cents = zip(*campaigns, strict=True)
    sizes = [len(times) for times in at]
    # The card's owner reports the whole campaign at one time.
    label_at = [int(times[-1]) + _detection_delay(rng) for times in at]
    return Rows(
        at=np.concatenate(at),
        user=np.repeat(users, sizes),
        merchant=np.concatenate(merchant),
        cents=np.concatenate(cents),
        scenario=np.repeat(scenarios, sizes),
        label_at=np.repeat(label_at, sizes),
    )


def _detection_delay(rng: np.random.Generator) -> int:
    """Microseconds to the report: within a day, or some days (median 3), or after a later statement (45 days)."""
    kind = rng.random()
    if kind < 0.3:
        return int(rng.integers(20 * MINUTE, DAY))
    if kind < 0.9:
        days = 3.0 * exp(np.asarray([rng.standard_normal() * 0.7]))[0]
        return int(np.clip(days, 0.2, 45.0) * DAY)
    return int(rng.integers(14 * DAY, 45 * DAY))


def _active_user(rng: np.random.Generator, world: World) -> int:
    """A victim; frequently used cards are stolen more often."""
    while True:
        user = int(rng.integers(0, world.users.count))
        if rng.random() * 2.0 < world.users.busyness[user] + 0.4:
            return user


def _resale(rng: np.random.Generator, world: World, among: Ints, size: int) -> Ints:
    """Merchants of a range whose goods can be resold; any of the range if it has none."""
    first, last = among.tolist()
    fitting = np.flatnonzero(np.isin(world.merchants.category[first:last], RESALE)) + first
    if not len(fitting):
        return pick_within(rng, world.merchants.cumulated, among, size)
    chosen: Ints = fitting[rng.integers(0, len(fitting), size)]
    return chosen


def _times(at: int, gaps: Ints) -> Ints:
    times: Ints = at + np.cumsum(gaps) - gaps[0]
    return times


def _card_testing(rng: np.random.Generator, world: World, at: int, pace: float, load: float) -> Campaign:
    """Small amounts within minutes at one to three online merchants, then usually a large one."""
    user = _active_user(rng, world)
    tests = int(rng.integers(4, 13))
    first, last = world.merchants.all_online.tolist()
    # The few online merchants with weak checks are different ones in every period.
    period = generator(world.seed, Stream.FRAUD, _WEAK_SHOPS + at // DAY // PERIOD_DAYS)
    weak = first + period.permutation(last - first)[: 2 + (last - first) // 25]
    shops = weak[rng.integers(0, len(weak), int(rng.integers(1, 4)))]
    merchant = shops[rng.integers(0, len(shops), tests)]
    # Exponential gaps, mean 40 seconds: a script that is sometimes slowed down.
    gaps = (5.0 * SECOND + rng.standard_exponential(tests) * 40.0 * SECOND).astype(np.int64)
    highest = 200 if rng.random() < 0.8 else 600
    cents = rng.integers(50, highest, tests)
    if rng.random() < 0.8:
        gaps = np.append(gaps, rng.integers(4 * MINUTE, 50 * MINUTE))
        merchant = np.append(merchant, _resale(rng, world, world.merchants.all_online, 1))
        cents = np.append(cents, rng.integers(12_000, 110_000))
    return Campaign(_times(at, gaps), user, merchant, cents)


def _takeover(rng: np.random.Generator, world: World, at: int, pace: float, load: float) -> Campaign:
    """Three to nine purchases over hours to days from a country where the user is not; amounts above the usual."""
    user = _active_user(rng, world)
    size = int(rng.integers(3, 10))
    location = whereabouts(world, at // DAY)[user]
    # The weights of visitors, so that the country alone does not reveal a takeover.
    weights = [country.visitors for country in COUNTRIES]
    weights[world.users.home[user]] = 0
    if location >= 0:
        weights[location] = 0
    abroad = world.merchants.countries[:, pick(rng, cumulate(weights), 1)[0]]
    for_resale = rng.random(size) < 0.6
    resale = _resale(rng, world, abroad, size)
    merchant = np.where(for_resale, resale, pick_within(rng, world.merchants.cumulated, abroad, size))
    # One in five uses a proxy: online shops of any country.
    if rng.random() < 0.2:
        merchant = pick_within(rng, world.merchants.cumulated, world.merchants.all_online, size)
    hours = rng.integers(2, 73)
    mean_gap = float(hours) * HOUR / size * pace
    gaps = (rng.standard_exponential(size) * mean_gap).astype(np.int64) + 30 * SECOND
    deviation = rng.uniform(0.7, 2.1, size) + rng.standard_normal(size) * 0.3
    cents = cents_of(typical_amount(world, np.full(size, user), merchant) * exp(deviation))
    return Campaign(_times(at, gaps), user, merchant, cents)


def _out_of_range(rng: np.random.Generator, world: World, at: int, pace: float, load: float) -> Campaign:
    """One purchase, rarely two, far above the user's amounts; at home or online, at any hour."""
    user = _active_user(rng, world)
    size = 2 if rng.random() < 0.3 else 1
    near = world.merchants.countries if rng.random() < 0.5 else world.merchants.online
    merchant = _resale(rng, world, near[:, world.users.home[user]], size)
    # Relative to an everyday amount of this user, not to the merchant's usual amounts.
    everyday = 40.0 * exp(world.users.spending[user : user + 1])
    cents = cents_of(np.repeat(everyday, size) * exp(rng.uniform(2.0, 3.4, size)))
    gaps = rng.integers(10 * MINUTE, 6 * HOUR, size)
    return Campaign(_times(at, gaps), user, merchant, cents)


@lru_cache(maxsize=16)
def _leaks_of_period(seed: int, period: int, count: int) -> tuple[Floats, Ints, Ints]:
    """Leaks that start in a period: target (0 to 1), first day and last day (exclusive) of each."""
    rng = generator(seed, Stream.COMPROMISED, period)
    first = period * PERIOD_DAYS + rng.integers(0, PERIOD_DAYS, count)
    last = first + rng.integers(_CAMPAIGN_DAYS[0], _CAMPAIGN_DAYS[1], count)
    return rng.random(count), first, last


@lru_cache(maxsize=4)
def _targets(world: World) -> Ints:
    """Merchants that can be compromised: a favorite of some user, but not the largest, well protected ones."""
    favored = np.diff(world.users.favored_from)
    order = np.argsort(favored, kind="stable")
    known = order[np.searchsorted(favored[order], 1) :]
    middle = known[len(known) // 4 : max(len(known) * 9 // 10, 1)]
    return middle if len(middle) else order


def _compromised_on(world: World, day: int, frauds_per_day: float) -> Ints:
    """Merchants that leak cards on a day, by index, for `frauds_per_day` frauds of this scenario in the world."""
    mean_days = sum(_CAMPAIGN_DAYS) / 2
    count = max(1, round(frauds_per_day / _FRAUDS_PER_MERCHANT_DAY * PERIOD_DAYS / mean_days))
    period = day // PERIOD_DAYS
    targets = _targets(world)
    leaking: list[Ints] = []
    for index in range(period - 3, period + 1):
        position, first, last = _leaks_of_period(world.seed, index, count)
        merchant = targets[(position * len(targets)).astype(np.int64)]
        leaking.append(merchant[(first <= day) & (day < last)])
    return np.unique(np.concatenate(leaking))


def _compromised_merchant(
    rng: np.random.Generator, world: World, at: int, pace: float, load: float
) -> Campaign:
    """A card that is used at a compromised merchant is misused there, or soon after online."""
    leaking = _compromised_on(world, at // DAY, load)
    if not len(leaking):
        leaking = pick_within(rng, world.merchants.cumulated, np.asarray([0, world.merchants.count]), 1)
    merchant = leaking[rng.integers(0, len(leaking), 1)]
    users = world.users
    low, high = users.favored_from[merchant[0]], users.favored_from[merchant[0] + 1]
    user = int(users.by_favorite[rng.integers(low, high)]) if low < high else _active_user(rng, world)
    if rng.random() < 0.25:
        merchant = pick_within(rng, world.merchants.cumulated, world.merchants.all_online, 1)
    deviation = rng.uniform(0.2, 1.5, 1) + rng.standard_normal(1) * 0.3
    cents = cents_of(typical_amount(world, np.asarray([user]), merchant) * exp(deviation))
    return Campaign(np.asarray([at]), user, merchant, cents)


SCENARIOS = (
    Scenario("card_testing", 0.30, 8.8, _card_testing),
    Scenario("account_takeover", 0.26, 6.0, _takeover),
    Scenario("compromised_merchant", 0.30, 1.0, _compromised_merchant),
    Scenario("amount_out_of_range", 0.14, 1.3, _out_of_range),
)
