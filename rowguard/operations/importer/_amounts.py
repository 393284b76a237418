"""Columns of amounts: well-formed values at once, every other value by the rule of `rowguard.amounts`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowguard.amounts import LIMIT, MAX_DECIMALS, REASONS, AmountError, parse_amount, parse_float_amount
from rowguard.operations.importer._arrow import Mask, masked, null_mask, true_mask
from rowguard.operations.importer._schema import Kind

_PLAIN = r"^\d{1,12}(\.\d{1,4})?$"
_UNITS_PER_ONE = 10**MAX_DECIMALS
_MAX_SCALE = 38  # of a decimal that a wider one can compare


def parse_amounts(values: pa.Array) -> tuple[pa.Array, list[tuple[Mask, str]]] | None:
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
        is_plain, amounts = _plain_floats(values)
        narrow = kind.to_pandas_dtype()

        def parse(value: float) -> Decimal:
            return parse_float_amount(str(narrow(value)))
    elif pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale <= _MAX_SCALE):
        is_plain, amounts = _plain_decimals(values)
    else:
        return None
    return _parse_others(values, amounts, np.flatnonzero(~is_plain & ~null_mask(values)), parse)


def _plain_decimals(values: pa.Array) -> tuple[Mask, pa.Array]:
    """Return where an exact number is an amount, and these amounts."""
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.decimal128(20, 0))
    # In a wide type comparing with the limits cannot overflow.
    wide = pc.cast(values, pa.decimal256(76, max(values.type.scale, MAX_DECIMALS)))
    is_in_range = pc.and_(pc.greater_equal(wide, pa.scalar(Decimal(0))), pc.less(wide, pa.scalar(LIMIT)))
    is_plain = true_mask(pc.and_(is_in_range, pc.equal(pc.round(wide, ndigits=MAX_DECIMALS), wide)))
    return is_plain, pc.cast(masked(wide, ~is_plain), Kind.AMOUNT.value)


def _plain_floats(values: pa.Array) -> tuple[Mask, pa.Array]:
    """Return where a float is the nearest one to an amount, and these amounts."""
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
    return is_plain, masked(amounts, ~is_plain)


def _parse_others(
    values: pa.Array, amounts: pa.Array, positions: Any, parse: Callable[[Any], Decimal]
) -> tuple[pa.Array, list[tuple[Mask, str]]]:
    """Parse the values at `positions` one by one; they are few in a well-formed file."""
    masks = {reason: np.zeros(len(values), np.bool_) for reason in REASONS}
    if not len(positions):
        return amounts, [(mask, reason) for reason, mask in masks.items()]
    parsed: list[Decimal] = []
    is_parsed = np.zeros(len(values), np.bool_)
    for position, value in zip(positions.tolist(), values.take(pa.array(positions)).to_pylist(), strict=True):
        try:
            parsed.append(parse(value))
            is_parsed[position] = True
        except AmountError as error:
            masks[str(error)][position] = True
    replacements = pa.array(
        [number.quantize(Decimal(1).scaleb(-MAX_DECIMALS)) for number in parsed], Kind.AMOUNT.value
    )
    amounts = pc.replace_with_mask(amounts, pa.array(is_parsed), replacements)
    return amounts, [(mask, reason) for reason, mask in masks.items()]
