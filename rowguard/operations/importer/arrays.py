"""Helpers between Arrow arrays, masks, and values that Python parses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def true_mask(values: pa.Array) -> Mask:
    """Return where a boolean array is true; null counts as false."""
    filled: Mask = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return filled


def null_mask(values: pa.Array) -> Mask:
    """Return where an array is null."""
    return true_mask(pc.is_null(values))


def masked(values: pa.Array, mask: Mask) -> pa.Array:
    """Return the array with null where the mask is set."""
    return pc.if_else(pa.array(mask), pa.scalar(None, values.type), values) if mask.any() else values


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's types for text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def cast_or_nulls(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Cast; all null if one value does not fit, because Arrow does not tell which one."""
    try:
        return pc.cast(values, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(values), target)


def parse_others(
    values: pa.Array, converted: pa.Array, parse: Callable[[Any], object]
) -> tuple[pa.Array, dict[str, Mask]]:
    """Parse each value that Arrow did not convert; in a well-formed file they are few.

    Args:
        values: A column as the file holds it.
        converted: The column in its canonical type, null where `parse` is needed.
        parse: Returns the value in the canonical type, or raises ValueError with the reason.

    Returns:
        The column, null where a value is missing or bad, and the mask of each reason.
    """
    faults: dict[str, Mask] = {}
    positions = np.flatnonzero(null_mask(converted) & ~null_mask(values))
    if not len(positions):
        return converted, faults
    parsed: list[object] = []
    is_parsed = np.zeros(len(values), np.bool_)
    for position, value in zip(positions.tolist(), values.take(pa.array(positions)).to_pylist(), strict=True):
        try:
            parsed.append(parse(value))
            is_parsed[position] = True
        except ValueError as error:
            faults.setdefault(str(error), np.zeros(len(values), np.bool_))[position] = True
    replacements = pa.array(parsed, converted.type)
    return pc.replace_with_mask(converted, pa.array(is_parsed), replacements), faults


def value_at(values: pa.Array, index: int) -> object:
    """Return one value as the file holds it, valid or not."""
    single = values.slice(index, 1)
    if pa.types.is_dictionary(single.type):
        single = single.dictionary_decode()
    if is_text(single.type):
        single = pc.cast(single, pa.binary())  # may not be UTF-8
    elif pa.types.is_timestamp(single.type):
        # Python's datetime has neither nanoseconds nor years beyond 9999.
        single = pc.cast(single.cast(pa.timestamp(single.type.unit)), pa.string())
    return single[0].as_py()
