"""Conversion of a column, from any format, to its canonical type.

Arrow converts the values that it converts exactly. Python parses the text of every other one, or says why it is bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowguard.amounts import LIMIT, MAX_DECIMALS, UNIT, parse_amount
from rowguard.operations.importer import texts
from rowguard.operations.importer.columns import Column

TOO_COARSE = "is a float that several values share; write exact numbers"

_UTC_ZONE = r"(?i) ?(z|utc|gmt|[+-]00(:?00)?)$"


class Faults(NamedTuple):
    """The positions of the bad values by reason, and what the first of each holds."""

    positions: dict[str, list[int]]
    examples: dict[str, object]

    def add(self, reason: str, position: int, value: object) -> None:
        """Add a bad value."""
        self.positions.setdefault(reason, []).append(position)
        self.examples.setdefault(reason, value)


class _Kind(NamedTuple):
    """How values of an SQL type are read.

    Attributes:
        target: Canonical Arrow type.
        direct: Arrow types that Arrow casts exactly, or not at all.
        by_text: Arrow types whose values are read by their text, as text itself is.
        expected: What the column should hold, for messages.
        plain: Regular expression of texts that Arrow casts.
        parse: Returns the value of a text, None if it is missing, or raises ValueError with the reason.
        bounds: Least and greatest value; Python gives the reason for one beyond them.
        step: Distance of values that a float must tell apart.
    """

    target: pa.DataType
    direct: tuple[Callable[[pa.DataType], bool], ...]
    by_text: tuple[Callable[[pa.DataType], bool], ...]
    expected: str
    plain: str
    parse: Callable[[str], object]
    bounds: tuple[object, object] | None = None
    step: Decimal = Decimal(1)


def kind_of(column: Column, latest: datetime) -> _Kind:
    """Return how the values of a column are read.

    Args:
        column: Its SQL type and the length of its texts.
        latest: Times may not be after it.
    """
    integer, floating, decimal = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal

    # A declared time, such as a date of birth, may be any.
    is_event = column.name in ("occurred_at", "labelled_at")

    def parse_time(text: str) -> datetime | None:
        return texts.parse_time(text, latest, is_event=is_event)

    amount = rf"^\d{{1,12}}(\.\d{{1,{MAX_DECIMALS}}})?$"
    text = rf"^[^{texts.CONTROL}]{{0,{column.length}}}$"
    time = r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$"
    return {
        "integer": _Kind(
            target=pa.int32(),
            direct=(integer, decimal),
            by_text=(floating,),
            expected="whole numbers",
            plain=r"^-?\d{1,9}$",
            parse=lambda value: texts.parse_integer(value, bits=32),
        ),
        "double precision": _Kind(
            target=pa.float64(),
            direct=(floating, integer, decimal),
            by_text=(),
            expected="numbers",
            plain=r"^-?\d{1,15}(\.\d{1,15})?$",
            parse=lambda value: texts.parse_number(value, float),
        ),
        # Text, which COPY reads: PostgreSQL's numbers have more digits than Arrow's.
        "numeric": _Kind(
            target=pa.string(),
            direct=(decimal,),
            by_text=(integer, floating),
            expected="numbers",
            plain=r"^-?\d{1,15}(\.\d{1,15})?$",
            parse=lambda value: texts.parse_number(value, str),
        ),
        "uuid": _Kind(
            target=pa.string(),
            direct=(),
            by_text=(),
            expected="UUIDs",
            plain=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
            parse=texts.parse_uuid,
        ),
        "inet": _Kind(
            target=pa.string(),
            direct=(),
            by_text=(),
            expected="IP addresses",
            plain=r"^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)$",
            parse=texts.parse_address,
        ),
        "bigint": _Kind(
            target=pa.int64(),
            direct=(integer, decimal),
            by_text=(floating,),
            expected="whole numbers",
            plain=r"^-?\d{1,18}$",
            parse=texts.parse_integer,
        ),
        "boolean": _Kind(
            target=pa.bool_(),
            direct=(pa.types.is_boolean,),
            by_text=(integer, floating, decimal),
            expected="true or false",
            plain="(?i)^(true|false|0|1)$",
            parse=texts.parse_boolean,
        ),
        "amount": _Kind(
            target=pa.decimal128(16, MAX_DECIMALS),
            direct=(decimal,),
            by_text=(integer, floating),
            expected="amounts",
            plain=amount,
            parse=lambda value: parse_amount(value).quantize(UNIT),
            bounds=(Decimal(0), LIMIT - UNIT),
            step=Decimal("0.01"),
        ),
        "text": _Kind(
            target=pa.string(),
            direct=(),
            by_text=(integer,),
            expected="text",
            plain=text,
            parse=lambda value: texts.parse_text(value, column.length),
        ),
        "timestamptz": _Kind(
            target=pa.timestamp("us", "UTC"),
            direct=(pa.types.is_timestamp, pa.types.is_date),
            by_text=(),
            expected="times (numbers have no unit)",
            plain=time,
            parse=parse_time,
            bounds=(texts.EPOCH, latest) if is_event else None,
        ),
    }[column.type]


def convert(
    column: Column, raw: pa.Array, kind: _Kind, *, is_exact: bool = False, known: Faults | None = None
) -> tuple[pa.Array, Faults]:
    """Convert and check one column of one batch.

    Args:
        column: The canonical column.
        raw: Values as the file holds them.
        kind: How they are read.
        is_exact: Texts are stored ones: blanks around them count, and an empty one is not missing.
        known: Values that are bad already; they are null in `raw`.

    Returns:
        The values, null where they are missing or bad; and the bad ones.
    """
    faults = known or Faults({}, {})
    values = decode(raw, faults)
    if pa.types.is_string(values.type) and not is_exact:
        values = pc.utf8_trim_whitespace(values)
        values = pc.if_else(pc.equal(values, ""), None, values)
    if pa.types.is_null(values.type):
        values = pa.nulls(len(raw), pa.string())
    if not (
        pa.types.is_string(values.type) or any(is_type(values.type) for is_type in kind.direct + kind.by_text)
    ):
        for position in _positions(pc.is_valid(values)):
            faults.add(f"holds {values.type}, not {kind.expected}", position, None)
        values = pa.nulls(len(raw), pa.string())
    converted = _convert_plain(values, kind)
    unread = _positions(pc.and_(pc.is_valid(values), pc.is_null(converted)))
    if unread:
        converted = _parse(values, converted, kind, unread, faults)
    if column.allowed is not None:
        is_known = pc.is_in(converted, pa.array(column.allowed, kind.target))
        for position in _positions(pc.and_(pc.is_valid(converted), pc.invert(is_known))):
            faults.add(
                f"is not one of {', '.join(map(str, column.allowed))}", position, converted[position].as_py()
            )
    if column.is_required:
        bad = {position for positions in faults.positions.values() for position in positions}
        for position in _positions(pc.is_null(converted)):
            if position not in bad:
                faults.add("is missing", position, None)
    return converted, faults


def decode(raw: pa.Array, faults: Faults) -> pa.Array:
    """Undo encodings; make every kind of text `string`.

    Args:
        raw: Values as the file holds them.
        faults: Gets the values that are not UTF-8.
    """
    values = raw.storage if isinstance(raw, pa.ExtensionArray) else raw
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return values
    values = values.cast(pa.binary())  # only a cast from binary checks the encoding
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        for position, value in enumerate(values.to_pylist()):
            try:
                texts.append(value and value.decode())
            except UnicodeDecodeError:
                texts.append(None)
                faults.add("is not UTF-8 text", position, value)
        return pa.array(texts, pa.string())


def _convert_plain(values: pa.Array, kind: _Kind) -> pa.Array:
    """Convert what Arrow converts exactly; null elsewhere."""
    given = values.type
    if not any(is_type(given) for is_type in kind.direct):
        texts = values.cast(pa.string())
        if pa.types.is_timestamp(kind.target):
            texts = pc.replace_substring_regex(texts, _UTC_ZONE, "")
        is_plain = pc.match_substring_regex(texts, kind.plain)
        if pa.types.is_floating(given):
            # So few digits identify one float, and their neighbors another.
            digits = np.finfo(given.to_pandas_dtype()).precision
            is_plain = pc.and_(is_plain, pc.less_equal(pc.utf8_length(texts), digits))
            is_plain = pc.and_(is_plain, pc.less(values.cast(pa.float64()), float(kind.step.scaleb(digits))))
        values = pc.if_else(is_plain, texts, None)
        if pa.types.is_timestamp(kind.target):
            values = _cast(values, pa.timestamp("us"))  # without a zone is UTC
    elif pa.types.is_timestamp(given):
        # Digits beyond microseconds are cut; other units may not fit into them.
        values = _cast(values, pa.timestamp("us", given.tz), safe=given.unit != "ns")
    converted = _cast(values, kind.target)
    if kind.bounds:
        low, high = (pa.scalar(bound, kind.target) for bound in kind.bounds)
        is_inside = pc.and_(pc.greater_equal(converted, low), pc.less_equal(converted, high))
        converted = pc.if_else(is_inside, converted, None)
    return converted


def _cast(values: pa.Array, target: pa.DataType, *, safe: bool = True) -> pa.Array:
    """Cast; all null if one value does not fit, because Arrow does not tell which one."""
    try:
        return values.cast(target, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(values), target)


def _parse(values: pa.Array, converted: pa.Array, kind: _Kind, unread: list[int], faults: Faults) -> pa.Array:
    """Parse the texts of the values that Arrow did not convert; in a well-formed file they are few."""
    some = values.take(pa.array(unread))
    if pa.types.is_timestamp(some.type):
        some = some.cast(pa.timestamp(some.type.unit, "UTC"))  # the text of another zone needs its table
    float_type = some.type.to_pandas_dtype() if pa.types.is_floating(some.type) else None
    parsed: list[object] = []
    is_parsed = np.zeros(len(values), np.bool_)
    for position, text in zip(unread, some.cast(pa.string()).to_pylist(), strict=True):
        try:
            # The text of a float may have an exponent, which other whole numbers must not have.
            value = kind.parse(f"{Decimal(text):f}" if float_type and "e" in text else text)
            if float_type and isinstance(value, int | Decimal) and is_coarse(value, float_type, kind.step):
                raise ValueError(TOO_COARSE)
        except ValueError as error:
            faults.add(str(error), position, text)
        else:
            parsed.append(value)
            is_parsed[position] = True
    return pc.replace_with_mask(converted, pa.array(is_parsed), pa.array(parsed, kind.target))


def is_coarse(value: int | Decimal, float_type: type[np.floating], step: Decimal) -> bool:
    """Return whether floats of this size lie further apart than numbers with as many decimals.

    Args:
        value: The number.
        float_type: Of the file.
        step: Distance of values that must be told apart.
    """
    step = min(step, Decimal(1).scaleb(int(Decimal(value).normalize().as_tuple().exponent)))
    _, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent - 1 - np.finfo(float_type).nmant) > step


def _positions(mask: pa.Array) -> list[int]:
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist()
