"""Scalar types of bodies: what JSON may write, and what the database takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from rowguard.amounts import LIMIT, MALFORMED, AmountError, parse_amount

BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
EXACT_FLOAT_MAX = 2**53
SINGLE_ROUNDS_TO_ZERO = 2.0**-150
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NO_CONTROL_CHARACTERS = r"^[^\u0000-\u001F\u007F-\u009F]*$"


def _parse_integer(value: Any) -> Any:
    """JSON has one kind of number, so 5.0 is 5; above 2^53 a float may stand for another integer."""
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= EXACT_FLOAT_MAX:
            raise ValueError(
                "is too large for a floating-point number; send an integer, or its digits as a string"
            )
        return int(value)
    return value


def _parse_id(value: Any) -> Any:
    """JavaScript cannot write every 64-bit integer as a number, so digits in a string count too."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    return _parse_integer(value)


def _parse_amount(value: Any) -> Decimal:
    if isinstance(value, float):
        return parse_amount(repr(value))
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        return parse_amount(value)
    raise AmountError(MALFORMED)


def _round_to_single(value: float) -> float:
    """The model reads single precision: smaller values are 0, where the database would reject the cast."""
    return 0.0 if abs(value) <= SINGLE_ROUNDS_TO_ZERO else value


def reject_control_characters(value: str) -> str:
    """Return the text unchanged.

    Raises:
        ValueError: It has control characters, which a terminal or a log would obey.
    """
    if CONTROL_CHARACTER.search(value):
        raise ValueError("must not contain control characters")
    return value


def _reject_number(value: Any) -> Any:
    """Pydantic would read a number as a time, in a unit that it guesses."""
    if isinstance(value, str) and "-" in value.strip()[1:]:
        return value
    raise ValueError("is not an ISO 8601 time, such as 2026-11-23T12:00:00Z")


def _require_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs a time zone, such as 2026-11-23T12:00:00Z")
    return value


def _require_valid_time(value: datetime) -> datetime:
    """The table stores any time, but Python cannot read all of them back."""
    if EARLIEST <= _require_zone(value) <= datetime.now(UTC) + CLOCK_SKEW:
        return value
    raise ValueError("is before 1970 or more than a day in the future")


ID_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": -BIGINT_MAX - 1, "maximum": BIGINT_MAX},
        {"type": "string", "pattern": "^-?[0-9]{1,19}$", "description": "Its digits."},
    ],
}
# A string keeps every digit where the client's JSON library would not.
AMOUNT_SCHEMA = {
    "description": "At most 4 decimals.",
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": int(LIMIT), "multipleOf": 0.0001},
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,4})?$"},
    ],
}
Id = Annotated[
    int,
    Field(ge=-BIGINT_MAX - 1, le=BIGINT_MAX, strict=True),
    BeforeValidator(_parse_id),
    WithJsonSchema(ID_SCHEMA),
]
Integer = Annotated[
    int, Field(ge=-INTEGER_MAX - 1, le=INTEGER_MAX, strict=True), BeforeValidator(_parse_integer)
]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX, strict=True), BeforeValidator(_parse_integer)]
FeatureAmount = Annotated[
    float, Field(ge=0, lt=float(LIMIT), allow_inf_nan=False), AfterValidator(_round_to_single)
]
Minutes = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False), AfterValidator(_round_to_single)]
Amount = Annotated[Decimal, PlainValidator(_parse_amount), WithJsonSchema(AMOUNT_SCHEMA)]
Text = Annotated[
    str,
    Field(max_length=64, json_schema_extra={"pattern": NO_CONTROL_CHARACTERS}),
    AfterValidator(reject_control_characters),
]
Note = Annotated[
    str,
    Field(max_length=2_000, json_schema_extra={"pattern": NO_CONTROL_CHARACTERS}),
    AfterValidator(reject_control_characters),
]
LongText = Annotated[
    str,
    Field(max_length=500, json_schema_extra={"pattern": NO_CONTROL_CHARACTERS}),
    AfterValidator(reject_control_characters),
]
KeyText = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra={"pattern": NO_CONTROL_CHARACTERS}),
    AfterValidator(reject_control_characters),
]
ExternalId = Annotated[
    str,
    Field(min_length=1, max_length=255, strict=True, json_schema_extra={"pattern": NO_CONTROL_CHARACTERS}),
    AfterValidator(reject_control_characters),
]
Time = Annotated[datetime, BeforeValidator(_reject_number), AfterValidator(_require_valid_time)]
# Of a declared column, such as a date of birth.
AnyTime = Annotated[datetime, BeforeValidator(_reject_number), AfterValidator(_require_zone)]
