"""Small helpers between Arrow arrays and masks."""

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
    if values.null_count == 0:
        return np.zeros(len(values), dtype=np.bool_)
    mask: Mask = pc.is_null(values).to_numpy(zero_copy_only=False)
    return mask


def masked(values: pa.Array, mask: Mask) -> pa.Array:
    """Return the array with null where the mask is set."""
    if not mask.any():
        return values
    return pc.if_else(pa.array(mask), pa.scalar(None, values.type), values)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's types for text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's types for bytes."""
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


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


def cast_or_null(
    values: pa.Array, target: pa.DataType, fits: Callable[[Any], bool] | None = None
) -> tuple[pa.Array, Mask]:
    """Cast, with null where a value does not fit, and return a mask of these.

    Arrow's cast fails as a whole and does not say where, so a failing array is halved until the bad values are
    isolated. Where there may be many, `fits` finds them in Python.
    """
    try:
        return pc.cast(values, target), np.zeros(len(values), dtype=np.bool_)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, target), np.ones(1, dtype=np.bool_)
    if fits:
        bad = np.asarray([value is not None and not fits(value) for value in values.to_pylist()])
        cast, more = cast_or_null(masked(values, bad), target)
        return cast, bad | more
    half = len(values) // 2
    left, left_mask = cast_or_null(values.slice(0, half), target)
    right, right_mask = cast_or_null(values.slice(half), target)
    return pa.concat_arrays([left, right]), np.concatenate([left_mask, right_mask])
