"""Users and merchants: their attributes, their countries, and the users' favorite merchants.

The world depends only on seed, number of users and number of merchants. It has no start and no end, so a live
stream continues exactly where a history ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulator._places import CATEGORIES, COUNTRIES, HABIT_WEIGHTS
from simulator._random import Floats, Ints, Stream, cumulate, exp, generator, pick, pick_within

PERIOD_DAYS = 28
"""Trips, dormant cards and compromised merchants are drawn per period of this length."""

FAVORITES_IN_TOWN = 10
_MERCHANTS_PER_REGION = 25
_ONLINE_FRACTION = 0.22


@dataclass(frozen=True, slots=True)
class Merchants:
    """Columns over merchants, ordered: those in town by country and region, then those online by country.

    `cumulated` has running sums of popularity in this order, so that every country, region or all online
    merchants are one range to pick from: a column of first and last (exclusive) merchant.
    """

    ids: Ints
    country: Ints
    category: Ints
    region: Ints
    """Of the merchants in town."""
    cumulated: Ints
    regions: Ints
    countries: Ints
    """Those in town of each country."""
    online: Ints
    """Those online of each country; a country without any has the range of all of them."""
    all_online: Ints

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
    favorites: Ints
    """users × favorites, indexes of merchants; those in town, then those online, each by preference."""
    by_favorite: Ints
    """Users by favorite merchant: `favored_from[m]:favored_from[m + 1]` are those of merchant m."""
    favored_from: Ints

    @property
    def count(self) -> int:
        return len(self.home)


@dataclass(frozen=True, eq=False)  # hashed by identity, as an argument of cached functions
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
    online_country = np.sort(pick(rng, cumulate([country.merchants for country in COUNTRIES]), online_count))
    country_ends = cumulate(in_town)
    region_ends = [0]
    for first, size in zip(country_ends.tolist(), in_town, strict=False):
        regions = max(1, size // _MERCHANTS_PER_REGION)
        region_ends += [first + size * number // regions for number in range(1, regions + 1)]
    online_ends = sum(in_town) + np.searchsorted(online_country, np.arange(len(COUNTRIES) + 1))
    online, all_online = np.stack([online_ends[:-1], online_ends[1:]]), np.asarray([sum(in_town), count])
    category_in_town = pick(rng, cumulate([kind.in_town for kind in CATEGORIES]), sum(in_town))
    category_online = pick(rng, cumulate([kind.online for kind in CATEGORIES]), online_count)
    # A power law of the rank, by square roots only: those are exactly rounded on every machine.
    rank = rng.permutation(count) + 1.0
    popularity = (1e7 / (np.sqrt(rank) * np.sqrt(np.sqrt(rank)))).astype(np.int64)
    return Merchants(
        ids=rng.permutation(count) + 1,
        country=np.concatenate([np.repeat(np.arange(len(COUNTRIES)), in_town), online_country]),
        category=np.concatenate([category_in_town, category_online]),
        region=np.repeat(np.arange(len(region_ends) - 1), np.diff(region_ends)),
        cumulated=cumulate(popularity),
        regions=np.stack([region_ends[:-1], region_ends[1:]]),
        countries=np.stack([country_ends[:-1], country_ends[1:]]),
        online=np.where(online[0] == online[1], all_online[:, np.newaxis], online),
        all_online=all_online,
    )


def _favorites(seed: int, home: Ints, region: Ints, merchants: Merchants) -> Ints:
    """Ten in town (the last two anywhere in the country) and four online (the last one in any country)."""
    rng = generator(seed, Stream.FAVORITES)
    # A few users live near a border and shop on the other side of it.
    across = np.where(rng.random(len(home)) < 0.04, rng.integers(0, len(COUNTRIES), len(home)), home)
    town, country, online = (
        merchants.regions[:, region],
        merchants.countries[:, home],
        merchants.online[:, home],
    )
    border = np.where(across == home, town, merchants.countries[:, across])
    anywhere = np.repeat(merchants.all_online[:, np.newaxis], len(home), axis=1)
    in_town = [town, town, town, border, town, town, border, town, country, country]
    ranges = [*in_town, online, online, online, anywhere]
    return np.stack([pick_within(rng, merchants.cumulated, one) for one in ranges], axis=1)


def _users(seed: int, count: int, merchants: Merchants) -> Users:
    rng = generator(seed, Stream.USERS)
    home = pick(rng, cumulate([country.homes for country in COUNTRIES]), count)
    region = merchants.region[rng.integers(*merchants.countries[:, home])]
    favorites = _favorites(seed, home, region, merchants)
    order = np.argsort(favorites, axis=None, kind="stable")
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
        favored_from=np.searchsorted(np.sort(favorites, axis=None), np.arange(merchants.count + 1)),
    )


@lru_cache(maxsize=4)
def world_of(seed: int, users: int, merchants: int) -> World:
    """Build the world of a seed; cached, since history and live stream both use it."""
    shops = _merchants(seed, merchants)
    return World(seed, _users(seed, users, shops), shops)


def typical_amount(world: World, user: Ints, merchant: Ints) -> Floats:
    """Median amount of each user at each merchant, elementwise."""
    typical = np.asarray([category.typical for category in CATEGORIES])
    return typical[world.merchants.category[merchant]] * exp(world.users.spending[user])


@lru_cache(maxsize=8)
def whereabouts(world: World, day: int) -> Ints:
    """The country of every user on a day (days since 1970), or -1 for users with a dormant card."""
    users = world.users.count
    location = world.users.home.copy()
    visitors = cumulate([country.visitors for country in COUNTRIES])
    period = day // PERIOD_DAYS
    for index in (period - 1, period):  # a trip may reach into the next period
        rng = generator(world.seed, Stream.TRIPS, index)
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
