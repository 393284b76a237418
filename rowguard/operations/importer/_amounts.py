"""Amounts: to exact decimals with two places, without losing a cent in silence."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowguard.operations.importer._arrow import Mask, cast_what_fits, masked, null_mask, true_mask
from rowguard.operations.importer._schema import MAX_CENTS, Kind

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
_NOT_FINITE = r"^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
_PLAIN = r"^\d{1,15}(\.\d{0,2}0*)?$"
_NOISE = 1e-9
_MOST_DECIMALS = 38
_ZERO = pa.scalar(Decimal(0))
_LARGEST = pa.scalar(Decimal(MAX_CENTS).scaleb(-2))

MALFORMED = "is not a number"
NOT_FINITE = "is not finite"
NEGATIVE = "is negative"
TOO_LARGE = "is larger than 999,999,999,999.99"
TOO_FINE = "has more than two decimals"

Faults = list[tuple[Mask, str]]


def amounts(values: pa.Array) -> tuple[pa.Array, Faults] | None:
    """Amounts as decimals, with masks of what is wrong; `None` for a type that holds no amounts.

    A float counts as having two decimals if it is the nearest float to such a number, or off by a billionth
    at most: that is noise of binary arithmetic. Anything finer is refused rather than rounded.
    """
    kind = values.type
    if pa.types.is_string(kind):
        return _from_text(values)
    if pa.types.is_floating(kind):
        return _from_floats(values)
    if pa.types.is_decimal(kind) and kind.scale <= _MOST_DECIMALS:
        return _from_decimals(values)
    if pa.types.is_integer(kind):
        faults = _range_faults(pc.less(values, 0), pc.greater(values, MAX_CENTS // 100))
        good = pc.cast(masked(values, faults[0][0] | faults[1][0]), pa.int64())
        cents = pc.multiply(pc.fill_null(good, 0), 100).to_numpy()
        return _decimals(cents, null_mask(good)), faults
    return None


def _range_faults(negative: pa.Array, too_large: pa.Array) -> Faults:
    return [(true_mask(negative), NEGATIVE), (true_mask(too_large), TOO_LARGE)]


def _from_floats(values: pa.Array) -> tuple[pa.Array, Faults]:
    narrow = values.type.to_pandas_dtype()
    missing = null_mask(values)
    numbers = pc.fill_null(pc.cast(values, pa.float64()), 0.0).to_numpy()
    not_finite = ~np.isfinite(numbers)
    numbers = np.where(not_finite, 0.0, numbers)
    negative = numbers < 0
    too_large = numbers > MAX_CENTS / 100
    numbers = np.where(negative | too_large, 0.0, numbers)
    cents = np.rint(numbers * 100.0)
    nearest = cents / 100.0
    is_nearest = nearest.astype(narrow) == numbers.astype(narrow)
    too_fine = ~is_nearest & (np.abs(numbers - nearest) > _NOISE * np.maximum(1.0, numbers))
    bad = not_finite | negative | too_large | too_fine
    faults = [(not_finite, NOT_FINITE), (negative, NEGATIVE), (too_large, TOO_LARGE), (too_fine, TOO_FINE)]
    # A number just below the limit may be rounded beyond it.
    return _decimals(np.minimum(cents, MAX_CENTS).astype(np.int64), missing | bad), faults


def _from_decimals(values: pa.Array) -> tuple[pa.Array, Faults]:
    # In a wide type, so that comparing with the limits cannot overflow a narrow one.
    wide = pc.cast(values, pa.decimal256(76, max(values.type.scale, 2)))
    faults = _range_faults(pc.less(wide, _ZERO), pc.greater(wide, _LARGEST))
    wide = masked(wide, faults[0][0] | faults[1][0])
    too_fine = true_mask(pc.not_equal(pc.round(wide, ndigits=2), wide))
    return pc.cast(masked(wide, too_fine), Kind.AMOUNT.value), [*faults, (too_fine, TOO_FINE)]


def _from_text(values: pa.Array) -> tuple[pa.Array, Faults]:
    plain = true_mask(pc.match_substring_regex(values, _PLAIN))
    if plain.all():
        return _from_plain_text(values)
    # What is not digits with two decimals is rare: it goes through floats, which know how to judge it.
    not_finite = true_mask(pc.match_substring_regex(values, _NOT_FINITE))
    other = ~plain & ~null_mask(values) & ~not_finite
    malformed = other & ~true_mask(pc.match_substring_regex(values, _NUMBER))
    simple, faults = _from_plain_text(masked(values, ~plain))
    odd = masked(values, plain | not_finite | malformed)
    without_plus = pc.replace_substring_regex(odd, r"^\+", "")
    floats, unreadable = cast_what_fits(without_plus, pa.float64())
    rest, more = _from_floats(floats)
    merged = pc.coalesce(simple, rest)
    return merged, [(malformed | unreadable, MALFORMED), (not_finite, NOT_FINITE), *faults, *more]


def _from_plain_text(values: pa.Array) -> tuple[pa.Array, Faults]:
    if true_mask(pc.match_substring_regex(values, r"\.\d{2}0|\.$")).any():
        values = pc.replace_substring_regex(values, r"(\.\d{2})0+$|\.$", r"\1")
    return _from_decimals(pc.cast(values, pa.decimal128(20, 2)))


def _decimals(cents: NDArray[np.int64], missing: Mask) -> pa.Array:
    """Decimals from whole cents: the 128-bit numbers are written out directly."""
    halves = np.zeros((len(cents), 2), dtype="<i8")  # amounts are not negative, so the upper half is 0
    halves[:, 0] = cents
    found = pa.Decimal128Array.from_buffers(Kind.AMOUNT.value, len(cents), [None, pa.py_buffer(halves)])
    return masked(found, missing)
