"""Columns of amounts: Arrow converts well-formed values, every other value follows `rowguard.amounts`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowguard.amounts import MAX_DECIMALS, UNIT, parse_amount, parse_float_amount
from rowguard.operations.importer.arrays import Mask, cast_or_nulls, masked, parse_others, true_mask
from rowguard.operations.importer.schema import Kind

_PLAIN = r"^\d{1,12}(\.\d{1,4})?$"
_UNITS_PER_ONE = 10**MAX_DECIMALS


def parse_amounts(values: pa.Array) -> tuple[pa.Array, dict[str, Mask]] | None:
    """Return amounts as decimals of four places.

    Args:
        values: A column as the file holds it.

    Returns:
        The amounts, null where a value is missing or rejected, and a mask per reason; None for a type that holds
        no amounts.
    """
    kind = values.type
    parse: Callable[[Any], Decimal] = parse_amount
    if pa.types.is_string(kind):
        is_plain = true_mask(pc.match_substring_regex(values, _PLAIN))
        amounts = pc.cast(masked(values, ~is_plain), Kind.AMOUNT.value)
    elif pa.types.is_floating(kind):
        amounts = _plain_floats(values)
        narrow = kind.to_pandas_dtype()

        def parse(value: float) -> Decimal:
            return parse_float_amount(str(narrow(value)))
    elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        exact = pc.cast(values, pa.decimal128(24, MAX_DECIMALS)) if pa.types.is_integer(kind) else values
        amounts = cast_or_nulls(exact, Kind.AMOUNT.value)
        amounts = masked(amounts, true_mask(pc.less(amounts, pa.scalar(Decimal(0)))))
    else:
        return None
    return parse_others(values, amounts, lambda value: parse(value).quantize(UNIT))


def _plain_floats(values: pa.Array) -> pa.Array:
    """Return the amounts of floats that are the nearest one to an amount, null for the others."""
    narrow = values.type.to_pandas_dtype()
    numbers = pc.fill_null(pc.cast(values, pa.float64()), -1.0).to_numpy(zero_copy_only=False)
    # Where floats are spaced by less than a unit, 2**-14, the nearest amount is the only one.
    limit = 2.0 ** (np.finfo(narrow).nmant + 1 - 14)
    in_range = (numbers >= 0) & (numbers < limit)  # false for NaN
    numbers = np.where(in_range, numbers, 0.0)
    units = np.rint(numbers * _UNITS_PER_ONE)
    is_plain: Mask = in_range & ((units / _UNITS_PER_ONE).astype(narrow) == numbers.astype(narrow))
    # The 128-bit decimals are written directly: amounts are not negative, so the upper half is 0.
    halves = np.zeros((len(units), 2), dtype="<i8")
    halves[:, 0] = units
    amounts = pa.Decimal128Array.from_buffers(Kind.AMOUNT.value, len(units), [None, pa.py_buffer(halves)])
    return masked(amounts, ~is_plain)
