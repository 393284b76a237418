"""Random numbers that are the same on every machine.

Every purpose has a separate stream, so that drawing more numbers for one never shifts another. Choices use
integer weights, and the only transcendental function is the exponential below. Additions, multiplications and
`ldexp` are exactly rounded everywhere, while `numpy.exp` differs in the last bit between processors.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_LOG2_E = 1.4426950408889634
_LN_2_HIGH = 6.93147180369123816490e-01
_LN_2_LOW = 1.90821492927058770002e-10
_FACTORIALS = (479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1)


class Stream(IntEnum):
    """The purposes of the streams. The numbers are part of every seed's meaning: append only."""

    MERCHANTS = 1
    USERS = 2
    FAVORITES = 3
    TRIPS = 4
    PURCHASES = 5
    COMPROMISED = 6
    FRAUD = 7
    LIVE = 8


def generator(seed: int, stream: Stream, index: int = 0) -> np.random.Generator:
    """Create the generator of one purpose; `index` (at least 0) distinguishes days or periods."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), index))
    return np.random.Generator(np.random.PCG64(sequence))


def exp(exponents: Floats) -> Floats:
    """Compute e to the given powers, bit for bit the same on every machine."""
    powers_of_two = np.rint(exponents * _LOG2_E)
    rest = (exponents - powers_of_two * _LN_2_HIGH) - powers_of_two * _LN_2_LOW
    series = np.full_like(rest, 1.0 / _FACTORIALS[0])
    for factorial in _FACTORIALS[1:]:
        series *= rest
        series += 1.0 / factorial
    return np.ldexp(series, powers_of_two.astype(np.int32))


def cumulate(weights: Ints | list[int] | tuple[int, ...]) -> Ints:
    """Running sums of integer weights, starting with 0, for `pick`."""
    return np.concatenate(([0], np.cumsum(np.asarray(weights, dtype=np.int64))))


def pick(rng: np.random.Generator, cumulated: Ints, size: int) -> Ints:
    """Draw indexes in proportion to their weights."""
    return pick_within(rng, cumulated, np.asarray([0, -1]), size)


def pick_within(rng: np.random.Generator, cumulated: Ints, ranges: Ints, size: int | None = None) -> Ints:
    """Draw indexes in proportion to their weights from half-open ranges, first and last in the two rows.

    One index from each range, or `size` from one range.
    """
    first, last = cumulated[ranges]
    drawn = rng.integers(first, last, size=size)
    found: Ints = np.searchsorted(cumulated, drawn, side="right").astype(np.int64) - 1
    return found
