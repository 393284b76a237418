"""Legitimate purchases, one local day at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator._places import COUNTRIES, DIGITAL, busyness, hours_of_day
from simulator._random import Floats, Ints, Stream, cumulate, exp, generator, pick, pick_within
from simulator._world import FAVORITES_IN_TOWN, World, typical_amount, whereabouts

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Times are whole microseconds since 1970 in UTC."""

MIN_CENTS = 50
MAX_CENTS = 2_500_000

UTC_REACH = 9 * HOUR
"""A local day starts and ends at most this much before or after the same UTC day."""

_TOWN_PREFERENCE = cumulate([30, 20, 14, 10, 8, 6, 5, 3, 2, 2])
_ONLINE_PREFERENCE = cumulate([50, 25, 15, 10])
_OUTING_RATE = 0.05
_SPREE_RATE = 0.001
# Outings add 2 purchases on average, sprees 6; dormant cards remove 4 %.
_EXTRA = (1.0 + 2.0 * _OUTING_RATE + 6.0 * _SPREE_RATE) * 0.96


class Rows(NamedTuple):
    """Columns of transactions: times in microseconds, users and merchants by index, amounts in cents."""

    at: Ints
    user: Ints
    merchant: Ints
    cents: Ints
    scenario: Ints
    """Index into SCENARIOS, or -1 for a legitimate one."""
    label_at: Ints
    """When a fraud is reported; 0 for legitimate transactions."""


def cents_of(amounts: Floats) -> Ints:
    """Amounts rounded to cents and clipped to the range that cards allow."""
    return np.clip(np.rint(amounts * 100.0).astype(np.int64), MIN_CENTS, MAX_CENTS)


def purchases_of_day(world: World, day: int, per_user_day: float) -> Rows:
    """Draw every legitimate purchase of a local day (days since 1970), in no particular order."""
    rng = generator(world.seed, Stream.PURCHASES, day)
    users = world.users
    location = whereabouts(world, day)
    # Purchases are counted for all users, dormant ones included, so that no user's numbers shift another's.
    rate = users.busyness * (per_user_day / _EXTRA * busyness(day))
    counts = rng.poisson(rate)
    counts[location < 0] = 0
    user = np.repeat(np.arange(users.count), counts)
    size = len(user)
    where = location[user]

    is_online = rng.integers(0, 100, size) < users.online_percent[user]
    offset = np.asarray([country.utc_offset_hours for country in COUNTRIES])[where]
    hour = hours_of_day(rng, users.habit[user], day)
    at = day * DAY + (hour - offset) * HOUR + rng.integers(0, HOUR, size)
    merchant = _merchant_of(rng, world, user, where, is_online)

    at, user, where, merchant = _with_followers(rng, world, at, user, where, merchant)
    return Rows(
        at=at,
        user=user,
        merchant=merchant,
        cents=_cents(rng, world, user, where, merchant),
        scenario=np.full(len(at), -1),
        label_at=np.zeros(len(at), dtype=np.int64),
    )


def _merchant_of(
    rng: np.random.Generator, world: World, user: Ints, where: Ints, is_online: NDArray[np.bool_]
) -> Ints:
    """A merchant for every purchase: usually a favorite, else one nearby, in the country or online."""
    users, merchants = world.users, world.merchants
    size = len(user)
    home = users.home[user]
    online_favorite = FAVORITES_IN_TOWN + pick(rng, _ONLINE_PREFERENCE, size)
    favorite = np.where(is_online, online_favorite, pick(rng, _TOWN_PREFERENCE, size))
    known = users.favorites[user, favorite]

    chance = rng.integers(0, 100, size)
    region = users.region[user]
    ranges = np.where(chance < 70, merchants.regions[:, region], merchants.countries[:, home])
    ranges = np.where(is_online, merchants.online[:, home], ranges)
    ranges = np.where(is_online & (chance < 30), merchants.all_online[:, np.newaxis], ranges)
    is_away = (where != home) & ~is_online
    ranges = np.where(is_away, merchants.countries[:, where], ranges)

    is_new = (rng.integers(0, 100, size) < 26) | is_away
    known[is_new] = pick_within(rng, merchants.cumulated, ranges[:, is_new])
    return known


def _with_followers(
    rng: np.random.Generator, world: World, at: Ints, user: Ints, where: Ints, merchant: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Add the purchases that follow: further ones on the same outing, or a spree of small digital ones."""
    merchants = world.merchants
    chance = rng.random(len(at))
    outing = np.flatnonzero(chance < _OUTING_RATE)
    spree = np.flatnonzero(chance > 1.0 - _SPREE_RATE)
    starter = np.concatenate([outing, spree])
    follows = np.concatenate([rng.integers(1, 4, len(outing)), rng.integers(3, 10, len(spree))])
    outing_gap = rng.integers(2 * MINUTE, 14 * MINUTE, len(outing))
    gap = np.concatenate([outing_gap, rng.integers(20 * SECOND, 150 * SECOND, len(spree))])
    of = np.repeat(np.arange(len(starter)), follows)
    position = np.arange(len(of)) - np.repeat(np.cumsum(follows) - follows, follows) + 1
    source = starter[of]
    jitter = rng.integers(0, np.maximum(gap[of] // 2, 1))
    new_at = at[source] + position * gap[of] + jitter
    new_user, new_where = user[source], where[source]

    # An outing remains in the region; a spree remains with one digital merchant.
    region = world.users.region[new_user]
    is_home = new_where == world.users.home[new_user]
    ranges = np.where(is_home, merchants.regions[:, region], merchants.countries[:, new_where])
    near = pick_within(rng, merchants.cumulated, ranges)
    stays = rng.random(len(of)) < 0.3
    new_merchant = np.where(stays, merchant[source], near)
    digital = np.flatnonzero(merchants.category == DIGITAL)  # all of them online
    if len(digital):
        arcade = digital[rng.integers(0, len(digital), len(starter))]
        new_merchant = np.where(of >= len(outing), arcade[of], new_merchant)
    return (
        np.append(at, new_at),
        np.append(user, new_user),
        np.append(where, new_where),
        np.append(merchant, new_merchant),
    )


def _cents(rng: np.random.Generator, world: World, user: Ints, where: Ints, merchant: Ints) -> Ints:
    """Amounts around the user's usual amount there; rarely a large one, abroad somewhat more."""
    size = len(user)
    deviation = rng.standard_normal(size) * world.users.spread[user]
    deviation += np.where(where != world.users.home[user], 0.3, 0.0)
    big = np.where(rng.random(size) < 0.004, rng.uniform(1.2, 2.6, size), 0.0)
    cents = cents_of(typical_amount(world, user, merchant) * exp(deviation + big))
    # Many prices end in 99 or in 00.
    ending = rng.integers(0, 100, size)
    whole = cents - cents % 100
    cents = np.where((ending < 22) & (whole > 0), whole + 99, cents)
    return np.where((ending >= 90) & (whole > 0), whole, cents)
