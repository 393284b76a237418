"""Conversion of a file's columns to the canonical types.

Arrow converts well-formed values. Python parses the others; a bad one becomes null and is reported by a mask.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from rowguard.operations.importer.amounts import parse_amounts
from rowguard.operations.importer.arrays import (
    Mask,
    cast_or_nulls,
    is_text,
    masked,
    null_mask,
    parse_others,
    true_mask,
)
from rowguard.operations.importer.schema import Column, Kind

MAX_TEXT_LENGTH = 64
MAX_FUTURE = timedelta(days=1)
Converted = tuple[pa.Array, dict[str, Mask]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SHORT_INTEGER = r"^-?\d{1,18}(\.0*)?$"
_WHOLE = re.compile(r"-?\d+(\.0*)?", re.ASCII)
_ISO_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?(Z|[+-][01]\d(:?[0-5]\d)?))?)?",
    re.ASCII,
)
# Arrow parses these; it rejects more digits than microseconds, and a blank before the zone.
_PLAIN_TIME = r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)"
_TRUE = pa.array(["true", "t", "yes", "y", "1", "1.0"])
_FALSE = pa.array(["false", "f", "no", "n", "0", "0.0"])


class UnreadableColumnError(Exception):
    """The type of a column cannot be converted."""


def convert(column: Column, raw: pa.Array, now: datetime) -> Converted:
    """Convert and check one column of one batch.

    Args:
        column: The canonical column.
        raw: Values as the file holds them.
        now: Times may be at most `MAX_FUTURE` after it.

    Returns:
        The values, null where they are missing or bad, and a mask per reason; a value has one reason at most.

    Raises:
        UnreadableColumnError: The type of the column does not fit.
    """
    values, faults = _decode(raw)
    if pa.types.is_floating(values.type) and column.kind is not Kind.AMOUNT:
        # Tools without nullable integers write floats, with NaN for missing.
        values = masked(pc.cast(values, pa.float64()), true_mask(pc.is_nan(values)))
    if pa.types.is_null(values.type):
        values = pa.nulls(len(values), column.kind.value)
    else:
        values, more = _CONVERTERS[column.kind](values, now)
        faults |= more
    if column.required:
        missing = null_mask(values)
        for mask in faults.values():
            missing = missing & ~mask
        faults["is missing"] = missing
    return values, {reason: mask for reason, mask in faults.items() if mask.any()}


def _decode(raw: pa.Array) -> Converted:
    """Undo dictionary encoding; make every kind of text `string`, trimmed, with null for empty."""
    values = raw.dictionary_decode() if pa.types.is_dictionary(raw.type) else raw
    is_binary = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    if not (is_binary or is_text(values.type) or pa.types.is_fixed_size_binary(values.type)):
        return values, {}
    # Only the cast through binary checks the encoding.
    encoded = pc.cast(values, pa.binary())
    values, faults = parse_others(encoded, cast_or_nulls(encoded, pa.string()), _decode_utf8)
    values = pc.utf8_trim_whitespace(values)
    return masked(values, true_mask(pc.equal(values, ""))), faults


def _decode_utf8(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _integers(values: pa.Array, now: datetime) -> Converted:
    kind = values.type
    if pa.types.is_floating(kind):
        is_exact = true_mask(pc.less(pc.abs(values), 2.0**53)) & true_mask(pc.equal(pc.trunc(values), values))
        whole = pc.cast(masked(values, ~is_exact), pa.int64())
    elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        whole = cast_or_nulls(values, pa.int64())
    elif pa.types.is_string(kind):
        plain = masked(values, ~true_mask(pc.match_substring_regex(values, _SHORT_INTEGER)))
        if true_mask(pc.match_substring(plain, ".")).any():
            plain = pc.replace_substring_regex(plain, r"\..*$", "")
        whole = pc.cast(plain, pa.int64())
    else:
        raise UnreadableColumnError(f"holds {kind}, not whole numbers")
    return parse_others(values, whole, _parse_integer)


def _parse_integer(value: object) -> int:
    text = str(value)
    if isinstance(value, float) or not _WHOLE.fullmatch(text):
        raise ValueError("is not a whole number")
    digits = text.partition(".")[0]
    # Python rejects very long numbers; those of 20 digits and more do not fit.
    if len(digits.lstrip("-0")) > 19 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("does not fit into 64 bits")
    return int(digits)


def _times(values: pa.Array, now: datetime) -> Converted:
    faults: dict[str, Mask] = {}
    if pa.types.is_string(values.type):
        is_naive = true_mask(pc.match_substring_regex(values, _PLAIN_TIME + "$"))
        plain = pc.cast(cast_or_nulls(masked(values, ~is_naive), pa.timestamp("us")), Kind.TIME.value)
        if not is_naive.all():
            is_zoned = true_mask(pc.match_substring_regex(values, _PLAIN_TIME + _ZONE + "$"))
            plain = pc.coalesce(plain, cast_or_nulls(masked(values, ~is_zoned), Kind.TIME.value))
        numbers, faults = parse_others(values, plain.view(pa.int64()), _parse_time)
        values = numbers.view(Kind.TIME.value)
    elif pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("s"))
    elif not pa.types.is_timestamp(values.type):
        raise UnreadableColumnError(f"holds {values.type}, not times (numbers have no unit)")
    # Compared in the unit of the file, where nothing overflows. A time without a zone is UTC.
    numbers = values.view(pa.int64())
    latest = (
        int((now + MAX_FUTURE - _EPOCH) / timedelta(microseconds=1)) * _UNITS_PER_SECOND[values.type.unit]
    )
    early, late = true_mask(pc.less(numbers, 0)), true_mask(pc.greater(numbers, latest // 10**6))
    faults |= {
        "is before 1970": early,
        f"is more than {MAX_FUTURE.days} day in the future": late,
    }
    values = masked(values, early | late)
    # Nanoseconds are truncated.
    values = pc.cast(values, pa.timestamp("us", tz=values.type.tz), safe=False)
    return pc.cast(values, Kind.TIME.value), faults


def _parse_time(value: str) -> int:
    """Return microseconds since 1970."""
    try:
        if not _ISO_TIME.fullmatch(value):
            raise ValueError
        # Python truncates more digits than microseconds.
        time = datetime.fromisoformat(value[:10] + value[10:11] + value[11:].replace(" ", ""))
    except ValueError:
        raise ValueError("is not an ISO 8601 time") from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(microseconds=1)


def _amounts(values: pa.Array, now: datetime) -> Converted:
    amounts = parse_amounts(values)
    if amounts is None:
        raise UnreadableColumnError(f"holds {values.type}, not amounts")
    return amounts


def _texts(values: pa.Array, now: datetime) -> Converted:
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.string())
    if not pa.types.is_string(values.type):
        raise UnreadableColumnError(f"holds {values.type}, not text")
    has_nul = true_mask(pc.match_substring(values, "\0"))
    too_long = true_mask(pc.greater(pc.utf8_length(values), MAX_TEXT_LENGTH)) & ~has_nul
    return masked(values, has_nul | too_long), {
        "holds a NUL character": has_nul,
        f"is longer than {MAX_TEXT_LENGTH} characters": too_long,
    }


def _booleans(values: pa.Array, now: datetime) -> Converted:
    kind = values.type
    if pa.types.is_boolean(kind):
        return values, {}
    if pa.types.is_string(kind):
        lowered = pc.utf8_lower(values)
        is_true, is_false = pc.is_in(lowered, value_set=_TRUE), pc.is_in(lowered, value_set=_FALSE)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = pc.cast(values, pa.float64(), safe=False)
        is_true, is_false = pc.equal(numbers, 1.0), pc.equal(numbers, 0.0)
    else:
        raise UnreadableColumnError(f"holds {kind}, not true or false")
    neither = ~true_mask(is_true) & ~true_mask(is_false)
    return masked(pa.array(true_mask(is_true)), neither), {
        "is neither true nor false": neither & ~null_mask(values)
    }


_CONVERTERS: dict[Kind, Callable[[pa.Array, datetime], Converted]] = {
    Kind.INTEGER: _integers,
    Kind.TIME: _times,
    Kind.AMOUNT: _amounts,
    Kind.TEXT: _texts,
    Kind.BOOLEAN: _booleans,
}
