"""Conversion of a file's columns to the canonical types.

Well-formed values are converted in Arrow, never in Python. A bad value becomes null and is reported by a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowguard.operations.importer._amounts import parse_amounts
from rowguard.operations.importer._arrow import (
    Mask,
    cast_or_null,
    is_binary,
    is_text,
    masked,
    null_mask,
    true_mask,
)
from rowguard.operations.importer._schema import MAX_TEXT_LENGTH, Column, Kind

_EARLIEST_US = 0
_LARGEST_INTEGER = 2**63 - 1
_WHOLE = r"^-?\d+(\.0*)?$"
_ISO_TIME = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?(Z|[+-][01]\d(:?[0-5]\d)?))?)?$"
)
_ZONE = r":\d\d(\.\d+)? ?(Z|[+-]\d\d(:?\d\d)?)$"
_TRUE = pa.array(["true", "t", "yes", "y", "1", "1.0"])
_FALSE = pa.array(["false", "f", "no", "n", "0", "0.0"])


class Fault(NamedTuple):
    """Which values are bad, and the reason."""

    mask: Mask
    reason: str


class Converted(NamedTuple):
    """A column in its canonical type, null where it is faulty; a row may have one fault per column."""

    values: pa.Array
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The latest time that is accepted, and the reason for later ones."""

    latest: datetime
    latest_reason: str

    @property
    def latest_us(self) -> int:
        """Microseconds since 1970."""
        return int(pa.scalar(self.latest, pa.timestamp("us", tz="UTC")).value)


class UnreadableColumnError(Exception):
    """The type of a column cannot be converted."""


def convert(column: Column, raw: pa.Array, limits: TimeLimits) -> Converted:
    """Convert and check one column of one batch.

    Args:
        column: The canonical column.
        raw: Values as the file holds them.
        limits: The latest time.

    Returns:
        The values, null where they are bad, and the faults.

    Raises:
        UnreadableColumnError: The type of the column does not fit.
    """
    values, faults = _plain(raw)
    if pa.types.is_null(values.type):
        converted = Converted(pa.nulls(len(values), column.kind.value), [])
    else:
        converted = _CONVERTERS[column.kind](values, limits)
    faults = [*faults, *(fault for fault in converted.faults if fault.mask.any())]
    if column.required:
        missing = null_mask(converted.values)
        for fault in faults:
            missing = missing & ~fault.mask
        if missing.any():
            faults.append(Fault(missing, "is missing"))
    return Converted(converted.values, faults)


def _plain(raw: pa.Array) -> tuple[pa.Array, list[Fault]]:
    """Undo dictionary encoding; make every kind of text `string`, trimmed, with null for empty."""
    values = raw.dictionary_decode() if pa.types.is_dictionary(raw.type) else raw
    if not (is_binary(values.type) or is_text(values.type)):
        return values, []
    # Only the cast through binary checks the encoding.
    values, broken = cast_or_null(pc.cast(values, pa.binary()), pa.string(), _is_utf8)
    values = pc.utf8_trim_whitespace(values)
    empty = true_mask(pc.equal(values, ""))
    if empty.any():
        values = masked(values, empty)
    return values, [Fault(broken, "is not UTF-8 text")] if broken.any() else []


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fits_integer(value: str | Decimal) -> bool:
    # Python rejects very long numbers; those of 20 digits and more do not fit.
    return len(str(value).lstrip("-0")) < 20 and -_LARGEST_INTEGER - 1 <= int(value) <= _LARGEST_INTEGER


def _is_date(value: str) -> bool:
    """Return whether the date of a well-formed time exists."""
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def _integers(values: pa.Array, limits: TimeLimits) -> Converted:
    kind = values.type
    not_whole = "is not a whole number"
    too_large = "does not fit into 64 bits"
    if pa.types.is_integer(kind):
        bad = null_mask(values) & False
        if pa.types.is_uint64(kind):
            bad = true_mask(pc.greater(values, pa.scalar(_LARGEST_INTEGER, pa.uint64())))
        return Converted(pc.cast(masked(values, bad), pa.int64()), [Fault(bad, too_large)])
    if pa.types.is_floating(kind):
        # Tools without nullable integers write floats, with NaN for missing.
        missing = true_mask(pc.is_nan(values))
        values = masked(pc.cast(values, pa.float64()), missing)
        exact = true_mask(pc.less(pc.abs(values), 2.0**53)) & true_mask(pc.equal(pc.trunc(values), values))
        bad = ~exact & ~null_mask(values)
        return Converted(pc.cast(masked(values, bad), pa.int64()), [Fault(bad, not_whole)])
    if pa.types.is_decimal(kind):
        bad = true_mask(pc.not_equal(pc.round(values), values))
        whole, large = cast_or_null(masked(values, bad), pa.int64(), _fits_integer)
        return Converted(whole, [Fault(bad, not_whole), Fault(large, too_large)])
    if pa.types.is_string(kind):
        malformed = true_mask(pc.invert(pc.match_substring_regex(values, _WHOLE)))
        values = masked(values, malformed)
        if true_mask(pc.match_substring(values, ".")).any():
            values = pc.replace_substring_regex(values, r"\..*$", "")
        whole, bad = cast_or_null(values, pa.int64(), _fits_integer)
        return Converted(whole, [Fault(malformed, not_whole), Fault(bad, too_large)])
    raise UnreadableColumnError(f"holds {kind}, not whole numbers")


def _times(values: pa.Array, limits: TimeLimits) -> Converted:
    faults: list[Fault] = []
    kind = values.type
    if pa.types.is_string(kind):
        values, bad = _times_from_text(values)
        faults.append(Fault(bad, "is not an ISO 8601 time"))
    elif pa.types.is_date(kind):
        values = pc.cast(pc.cast(values, pa.timestamp("s")), Kind.TIME.value)
    elif pa.types.is_timestamp(kind):
        # Nanoseconds are truncated. A time without a zone is UTC.
        if kind.unit == "ns":
            values = pc.cast(values, pa.timestamp("us", tz=kind.tz), safe=False)
        else:
            values, bad = cast_or_null(values, pa.timestamp("us", tz=kind.tz))
            faults.append(Fault(bad, "is out of range"))
        values = pc.cast(values, Kind.TIME.value)
    else:
        raise UnreadableColumnError(f"holds {kind}, not times (numbers have no unit)")
    instants = values.view(pa.int64())
    early = true_mask(pc.less(instants, _EARLIEST_US))
    late = true_mask(pc.greater(instants, limits.latest_us))
    faults += [Fault(early, "is before 1970"), Fault(late, limits.latest_reason)]
    return Converted(masked(values, early | late), faults)


def _times_from_text(values: pa.Array) -> tuple[pa.Array, Mask]:
    malformed = true_mask(pc.invert(pc.match_substring_regex(values, _ISO_TIME)))
    values = masked(values, malformed)
    # Arrow rejects more digits than the unit holds, and a blank before the zone.
    if true_mask(pc.match_substring_regex(values, r"\.\d{7,}")).any():
        values = pc.replace_substring_regex(values, r"(\.\d{6})\d+", r"\1")
    has_zone = true_mask(pc.match_substring_regex(values, _ZONE))
    if not has_zone.any():
        naive, bad = cast_or_null(values, pa.timestamp("us"), _is_date)
        return pc.cast(naive, Kind.TIME.value), malformed | bad
    zoned = pc.replace_substring(masked(values, ~has_zone), " Z", "Z")
    zoned = pc.replace_substring_regex(zoned, r" ([+-])", r"\1")
    aware, bad_aware = cast_or_null(zoned, Kind.TIME.value, _is_date)
    naive, bad_naive = cast_or_null(masked(values, has_zone), pa.timestamp("us"), _is_date)
    merged = pc.coalesce(aware, pc.cast(naive, Kind.TIME.value))
    return merged, malformed | bad_aware | bad_naive


def _texts(values: pa.Array, limits: TimeLimits) -> Converted:
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.string())
    if not pa.types.is_string(values.type):
        raise UnreadableColumnError(f"holds {values.type}, not text")
    has_nul = true_mask(pc.match_substring(values, "\0"))
    too_long = true_mask(pc.greater(pc.utf8_length(values), MAX_TEXT_LENGTH)) & ~has_nul
    return Converted(
        masked(values, has_nul | too_long),
        [
            Fault(has_nul, "holds a NUL character"),
            Fault(too_long, f"is longer than {MAX_TEXT_LENGTH} characters"),
        ],
    )


def _booleans(values: pa.Array, limits: TimeLimits) -> Converted:
    kind = values.type
    if pa.types.is_boolean(kind):
        return Converted(values, [])
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = pc.cast(values, pa.float64(), safe=False)
        numbers = masked(numbers, true_mask(pc.is_nan(numbers)))
        is_true, is_false = pc.equal(numbers, 1.0), pc.equal(numbers, 0.0)
    elif pa.types.is_string(kind):
        lowered = pc.utf8_lower(values)
        is_true, is_false = pc.is_in(lowered, value_set=_TRUE), pc.is_in(lowered, value_set=_FALSE)
        numbers = values
    else:
        raise UnreadableColumnError(f"holds {kind}, not true or false")
    yes: NDArray[np.bool_] = true_mask(is_true)
    neither = ~yes & ~true_mask(is_false)
    bad = neither & ~null_mask(numbers)
    return Converted(masked(pa.array(yes), neither), [Fault(bad, "is neither true nor false")])


def _amounts(values: pa.Array, limits: TimeLimits) -> Converted:
    parsed = parse_amounts(values)
    if parsed is None:
        raise UnreadableColumnError(f"holds {values.type}, not amounts")
    amounts, faults = parsed
    return Converted(amounts, [Fault(mask, reason) for mask, reason in faults])


_CONVERTERS: dict[Kind, Callable[[pa.Array, TimeLimits], Converted]] = {
    Kind.INTEGER: _integers,
    Kind.TIME: _times,
    Kind.AMOUNT: _amounts,
    Kind.TEXT: _texts,
    Kind.BOOLEAN: _booleans,
}
