"""Countries, categories of merchants and daily rhythms of the simulated world.

All numbers are plausible inventions; none was fitted to real transactions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from simulator._random import Ints


class Country(NamedTuple):
    """A country by its ISO 3166-1 alpha-2 code; the weights are relative."""

    code: str
    homes: int
    merchants: int
    visitors: int
    utc_offset_hours: int


COUNTRIES = (
    Country("DE", 46, 36, 6, 1),
    Country("FR", 12, 11, 9, 1),
    Country("GB", 10, 9, 5, 0),
    Country("AT", 9, 7, 9, 1),
    Country("NL", 9, 8, 6, 1),
    Country("PL", 7, 6, 4, 1),
    Country("IT", 4, 7, 12, 1),
    Country("ES", 3, 7, 14, 1),
    Country("CH", 0, 3, 4, 1),
    Country("US", 0, 3, 5, -5),
    Country("TR", 0, 2, 5, 3),
    Country("BR", 0, 1, 2, -3),
    Country("TH", 0, 1, 3, 7),
    Country("SG", 0, 1, 2, 8),
)


class Category(NamedTuple):
    """A category of merchants. `typical` is the median amount; `in_town` and `online` are relative weights."""

    name: str
    typical: float
    in_town: int
    online: int


CATEGORIES = (
    Category("groceries", 27.0, 30, 4),
    Category("restaurant", 24.0, 22, 4),
    Category("fuel", 52.0, 9, 0),
    Category("fashion", 58.0, 10, 16),
    Category("pharmacy", 17.0, 7, 5),
    Category("home", 65.0, 6, 10),
    Category("entertainment", 22.0, 8, 14),
    Category("digital", 8.0, 0, 22),
    Category("electronics", 130.0, 3, 10),
    Category("travel", 180.0, 2, 6),
    Category("jewellery", 170.0, 1, 2),
)
DIGITAL = 7
RESALE = (8, 9, 10)
"""Categories whose goods are easily resold: electronics, travel, jewellery."""

# Weights of the hours from midnight, one row per habit.
_WEEKDAY = (
    (1, 0, 0, 0, 0, 2, 8, 22, 26, 14, 12, 20, 45, 38, 16, 16, 30, 60, 62, 44, 24, 14, 8, 3),  # office hours
    (1, 1, 0, 0, 0, 0, 2, 8, 30, 55, 60, 52, 40, 36, 42, 46, 40, 32, 24, 16, 10, 6, 3, 2),  # at home by day
    (26, 18, 12, 8, 4, 2, 1, 2, 4, 8, 12, 16, 22, 24, 24, 26, 30, 36, 42, 46, 50, 50, 44, 36),  # late riser
    (8, 5, 4, 6, 14, 30, 34, 22, 12, 8, 8, 10, 14, 30, 44, 40, 28, 22, 20, 20, 22, 26, 24, 16),  # in shifts
)
_WEEKEND = (
    (6, 3, 1, 0, 0, 0, 1, 5, 16, 36, 54, 58, 52, 46, 46, 48, 46, 40, 36, 34, 28, 22, 16, 10),
    (2, 1, 0, 0, 0, 0, 2, 8, 26, 46, 56, 52, 44, 38, 38, 40, 36, 30, 26, 20, 14, 8, 4, 3),
    (40, 34, 26, 18, 10, 5, 2, 1, 2, 5, 10, 18, 26, 30, 32, 34, 36, 38, 42, 46, 50, 54, 52, 46),
    (16, 12, 8, 6, 8, 14, 18, 18, 16, 20, 26, 32, 36, 38, 38, 36, 32, 30, 30, 30, 30, 30, 26, 20),
)
HABIT_WEIGHTS = (52, 26, 13, 9)

_HOUR_TOTAL = 1_000


def _hours(table: tuple[tuple[int, ...], ...]) -> Ints:
    """Running sums of every habit, each scaled to the same total, in one array for one lookup."""
    ends = [np.cumsum(weights) * _HOUR_TOTAL // sum(weights) for weights in table]
    return np.concatenate([own + habit * _HOUR_TOTAL for habit, own in enumerate(ends)])


_HOURS = (_hours(_WEEKDAY), _hours(_WEEKEND))


def hours_of_day(rng: np.random.Generator, habits: Ints, day: int) -> Ints:
    """Draw an hour of a day counted from 1970, 0 to 23 in local time, for each of the given habits."""
    drawn = rng.integers(0, _HOUR_TOTAL, size=len(habits)) + habits * _HOUR_TOTAL
    is_weekend = (day + 3) % 7 >= 5  # 1970 began on a Thursday
    hours = np.searchsorted(_HOURS[int(is_weekend)], drawn, side="right").astype(np.int64)
    return hours - habits * 24


# Monday to Sunday, in percent of an average day.
_WEEKDAY_PERCENT = (88, 90, 92, 98, 118, 124, 90)


def busyness(day: int) -> float:
    """Relative number of purchases on a day counted from 1970, by weekday, paydays and December; 1.0 on average."""
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    percent = _WEEKDAY_PERCENT[date.weekday()]
    percent = percent * (110 if date.day <= 4 or date.day >= 28 else 97) // 100
    return percent * (118 if date.month == 12 else 99) / 10_000
