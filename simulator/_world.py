"""Users and merchants: their attributes, their countries, and the users' favorite merchants.

The world depends only on seed, number of users and number of merchants. It has no start and no end, so a live
stream continues exactly where a history ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulator._places import CATEGORIES, COUNTRIES, HABIT_WEIGHTS
from simulator._random import Floats, Ints, Stream, cumulate, exp, generator, pick, pick_within

PERIOD_DAYS = 28
"""Trips, dormant cards and compromised merchants are drawn per period of this length."""

FAVORITES_IN_TOWN = 10
FAVORITES_ONLINE = 4
_MERCHANTS_PER_REGION = 25
_ONLINE_FRACTION = 0.22


@dataclass(frozen=True, slots=True)
class Merchants:
    """Columns over merchants, ordered: those in town by country and region, then those online by country.

    `cumulated` has running sums of popularity in this order, so that every country, region or all online
    merchants are one range to pick from.
    """

    ids: Ints
    country: Ints
    category: Ints
    region: Ints
    """Index into `region_first`; -1 for online merchants."""
    cumulated: Ints
    region_first: Ints
    region_last: Ints
    country_first: Ints
    country_last: Ints
    online_first: Ints
    """Per country; a country without online merchants has the range of all of them."""
    online_last: Ints
    first_online: int

    @property
    def count(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Users:
    """Columns over users; user_id is the index plus one."""

    home: Ints
    region: Ints
    habit: Ints
    busyness: Floats
    """Relative rate of purchases; the mean over users is about 1."""
    spending: Floats
    """Logarithm of the user's factor on a category's typical amount."""
    spread: Floats
    """Standard deviation of the logarithm of the user's amounts."""
    online_percent: Ints
    traveler: NDArray[np.bool_]
    favorites: NDArray[np.int64]
    """users × favorites, indexes of merchants; those in town, then those online, each by preference."""
    by_favorite: Ints
    """Users by favorite merchant: `favored_from[m]:favored_from[m + 1]` are those of merchant m."""
    favored_from: Ints

    @property
    def count(self) -> int:
        return len(self.home)


@dataclass(frozen=True, slots=True)
class World:
    """The part of the simulation that does not depend on the date."""

    seed: int
    users: Users
    merchants: Merchants


def _split_by_weight(total: int, weights: list[int]) -> list[int]:
    """Split a total by weights, at least one each, largest remainders first."""
    left = total - len(weights)
    exact = [left * weight / sum(weights) for weight in weights]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (parts[i] - exact[i], i))
    for index in by_remainder[: left - sum(parts)]:
        parts[index] += 1
    return [part + 1 for part in parts]


def _merchants(seed: int, count: int) -> Merchants:
    rng = generator(seed, Stream.MERCHANTS)
    online_count = max(1, int(count * _ONLINE_FRACTION))
    in_town = _split_by_weight(count - online_count, [country.merchants for country in COUNTRIES])
    online_weights = cumulate([country.merchants for country in COUNTRIES])
    online_country = np.sort(pick(rng, online_weights, online_count))

    country = np.concatenate([np.repeat(np.arange(len(COUNTRIES)), in_town), online_country])
    country_last = np.cumsum(in_town)
    country_first = (country_last - in_town).astype(np.int64)
    region = np.full(count, -1)
    firsts: list[int] = []
    lasts: list[int] = []
    for first, size in zip(country_first.tolist(), in_town, strict=True):
        regions = max(1, size // _MERCHANTS_PER_REGION)
        bounds = [first + size * index // regions for index in range(regions + 1)]
        for low, high in itertools.pairwise(bounds):
            region[low:high] = len(firsts)
            firsts.append(low)
            lasts.append(high)

    first_online = count - online_count
    online_first = first_online + np.searchsorted(online_country, np.arange(len(COUNTRIES)), side="left")
    online_last = first_online + np.searchsorted(online_country, np.arange(len(COUNTRIES)), side="right")
    has_none = online_first == online_last
    online_first[has_none], online_last[has_none] = first_online, count

    category = np.concatenate(
        [
            pick(rng, cumulate([kind.in_town for kind in CATEGORIES]), first_online),
            pick(rng, cumulate([kind.online for kind in CATEGORIES]), online_count),
        ]
    )
    # A power law of the rank, by square roots only: those are exactly rounded on every machine.
    rank = rng.permutation(count) + 1.0
    popularity = (1e7 / (np.sqrt(rank) * np.sqrt(np.sqrt(rank)))).astype(np.int64)
    return Merchants(
        ids=rng.permutation(count) + 1,
        country=country,
        category=category,
        region=region,
        cumulated=cumulate(popularity),
        region_first=np.asarray(firsts),
        region_last=np.asarray(lasts),
        country_first=country_first,
        country_last=country_last,
        online_first=online_first,
        online_last=online_last,
        first_online=first_online,
    )


def _favorites(seed: int, home: Ints, region: Ints, merchants: Merchants) -> NDArray[np.int64]:
    """Ten in town (the last two anywhere in the country) and four online (the last one in any country)."""
    rng = generator(seed, Stream.FAVORITES)
    columns = []
    everywhere = np.full(len(home), merchants.first_online)
    the_end = np.full(len(home), merchants.count)
    # A few users live near a border and shop on the other side of it.
    across = np.where(rng.random(len(home)) < 0.04, rng.integers(0, len(COUNTRIES), len(home)), home)
    for index in range(FAVORITES_IN_TOWN):
        if index in (3, 6):
            low, high = merchants.country_first[across], merchants.country_last[across]
            at_home = across == home
            low = np.where(at_home, merchants.region_first[region], low)
            high = np.where(at_home, merchants.region_last[region], high)
        elif index < FAVORITES_IN_TOWN - 2:
            low, high = merchants.region_first[region], merchants.region_last[region]
        else:
            low, high = merchants.country_first[home], merchants.country_last[home]
        columns.append(pick_within(rng, merchants.cumulated, low, high))
    for index in range(FAVORITES_ONLINE):
        domestic = index < FAVORITES_ONLINE - 1
        low = merchants.online_first[home] if domestic else everywhere
        high = merchants.online_last[home] if domestic else the_end
        columns.append(pick_within(rng, merchants.cumulated, low, high))
    return np.stack(columns, axis=1)


def _users(seed: int, count: int, merchants: Merchants) -> Users:
    rng = generator(seed, Stream.USERS)
    home = pick(rng, cumulate([country.homes for country in COUNTRIES]), count)
    neighbor = rng.integers(merchants.country_first[home], merchants.country_last[home])
    region = merchants.region[neighbor]
    favorites = _favorites(seed, home, region, merchants)
    order = np.argsort(favorites, axis=None, kind="stable")
    sorted_favorites = favorites.ravel()[order]
    rate = np.clip(rng.standard_gamma(2.0, count) / 2.0, 0.05, 5.0)
    return Users(
        home=home,
        region=region,
        habit=pick(rng, cumulate(HABIT_WEIGHTS), count),
        busyness=rate,
        spending=rng.standard_normal(count) * 0.45,
        spread=rng.uniform(0.25, 0.6, count),
        online_percent=rng.integers(8, 45, count),
        traveler=rng.random(count) < 0.6,
        favorites=favorites,
        by_favorite=order // favorites.shape[1],
        favored_from=np.searchsorted(sorted_favorites, np.arange(merchants.count + 1)),
    )


@lru_cache(maxsize=4)
def world_of(seed: int, users: int, merchants: int) -> World:
    """Build the world of a seed; cached, since history and live stream both use it."""
    shops = _merchants(seed, merchants)
    return World(seed=seed, users=_users(seed, users, shops), merchants=shops)


def typical_amount(world: World, user: Ints, merchant: Ints) -> Floats:
    """Median amount of each user at each merchant, elementwise."""
    typical = np.asarray([category.typical for category in CATEGORIES])
    return typical[world.merchants.category[merchant]] * exp(world.users.spending[user])


@lru_cache(maxsize=8)
def whereabouts(seed: int, users: int, merchants: int, day: int) -> Ints:
    """The country of every user on a day (days since 1970), or -1 for users with a dormant card."""
    world = world_of(seed, users, merchants)
    home = world.users.home
    location = home.copy()
    visitors = cumulate([country.visitors for country in COUNTRIES])
    period = day // PERIOD_DAYS
    for index in (period - 1, period):  # a trip may reach into the next period
        rng = generator(seed, Stream.TRIPS, index)
        # Travelers are abroad for nine days in eight periods, others sometimes over a weekend.
        leaves = rng.random(users) < np.where(world.users.traveler, 0.13, 0.03)
        first = index * PERIOD_DAYS + rng.integers(0, PERIOD_DAYS, users)
        length = np.where(world.users.traveler, rng.integers(3, 15, users), rng.integers(1, 4, users))
        destination = pick(rng, visitors, users)
        dormant = rng.random(users) < 0.04
        is_away = leaves & (first <= day) & (day < first + length)
        location[is_away] = destination[is_away]
        if index == period:
            location[dormant] = -1
    return location
