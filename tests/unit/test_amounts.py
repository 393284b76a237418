"""The one rule for amounts: exact for text and decimals, the nearest amount for floats; columns follow it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rowguard.amounts import LIMIT, UNIT, AmountError, parse_amount, parse_float_amount
from rowguard.operations.importer.amounts import parse_amounts

UNITS = st.integers(0, 10**16 - 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", "5"),
        ("5.", "5"),
        (".5", "0.5"),
        ("+5.25", "5.25"),
        ("5.250000", "5.25"),
        ("1.5e3", "1500"),
        ("1E-4", "0.0001"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("999999999999.9999", "999999999999.9999"),
        ("1e12", "is not below 1,000,000,000,000"),
        ("1e99999", "is not below 1,000,000,000,000"),
        ("9" * 5_000, "is not below 1,000,000,000,000"),
        ("1e-99999", "has more than 4 decimals"),
        ("0.00001", "has more than 4 decimals"),
        ("0.30000000000000004", "has more than 4 decimals"),
        ("-0.01", "is negative"),
        ("NaN", "is not finite"),
        ("-inf", "is not finite"),
        ("Infinity", "is not finite"),
        ("", "is not a number"),
        (" 5", "is not a number"),
        ("1_000", "is not a number"),
        ("１２", "is not a number"),
        ("0x10", "is not a number"),
        ("1,5", "is not a number"),
        ("1e999999999", "is not a number"),
    ],
)
def test_text(text: str, expected: str) -> None:
    assert _outcome(parse_amount, text) == (Decimal(expected) if expected[0].isdigit() else expected)
    values, faults = _column(pa.array([text, "1.00", None]))
    assert values[1:] == [1, None]
    assert (faults.get(0) or values[0]) == _outcome(parse_amount, text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (57.16, "57.16"),
        (0.1 + 0.2, "0.3"),
        (5.2499999999999, "5.25"),
        (999_999_999_999.99, "999999999999.99"),
        (999_999_999_999.9999, "999999999999.9999"),
        (1e-4, "0.0001"),
        (1.00005, "has more than 4 decimals"),
        (-1.0, "is negative"),
        (1e12, "is not below 1,000,000,000,000"),
        (float("nan"), "is not finite"),
        (float("inf"), "is not finite"),
    ],
)
def test_floats(value: float, expected: str) -> None:
    assert _outcome(parse_float_amount, repr(value)) == (
        Decimal(expected) if expected[0].isdigit() else expected
    )


@settings(max_examples=300)
@given(UNITS)
@example(10**16 - 1)
def test_every_amount_is_read_back_from_every_type(units: int) -> None:
    amount = Decimal(units) * UNIT
    assert parse_amount(str(amount)) == amount
    for values in (pa.array([str(amount)]), pa.array([amount]), pa.array([amount], pa.decimal256(60, 20))):
        assert _column(values) == ([amount], {})
    # A float holds 15 digits: beyond them the nearest amount is one with the same float.
    (read,), faults = _column(pa.array([float(amount)]))
    assert not faults and read is not None and float(read) == float(amount)
    if units < 10**15:
        assert read == amount


@settings(max_examples=200)
@given(st.integers(0, 10**6 - 1))
def test_narrow_floats_keep_their_cents(cents: int) -> None:
    assert _column(pa.array([np.float32(cents / 100)], pa.float32())) == ([Decimal(cents) / 100], {})


@settings(max_examples=300)
@given(st.floats())
def test_any_float_is_read_closely_or_rejected(value: float) -> None:
    (read,), faults = _column(pa.array([value], pa.float64()))
    assert (read is None) == bool(faults)
    if read is not None:
        assert 0 <= read < LIMIT and (float(read) == value or abs(float(read) - value) <= 1e-9)


@pytest.mark.parametrize("values", [[-1, 0, 10**12 - 1, 10**12, None], [2**63 - 1, 1]])
def test_whole_numbers_follow_the_same_rule(values: list[int | None]) -> None:
    read, faults = _column(pa.array(values))
    for position, value in enumerate(values):
        expected = None if value is None else _outcome(parse_amount, value)
        assert (faults.get(position) or read[position]) == expected


def _outcome(parse: object, value: object) -> object:
    assert callable(parse)
    try:
        return parse(value)
    except AmountError as error:
        return str(error)


def _column(values: pa.Array) -> tuple[list[Decimal | None], dict[int, str]]:
    """The amounts of a column, and the reason of each rejected position."""
    parsed = parse_amounts(values)
    assert parsed is not None
    amounts, faults = parsed
    amounts.validate(full=True)
    return amounts.to_pylist(), {
        int(n): reason for reason, mask in faults.items() for n in np.flatnonzero(mask)
    }
