"""The one rule for amounts: exact but for the noise of floats."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rowguard.amounts import LIMIT, UNIT, AmountError, parse_amount


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
        ("12345678.005", "12345678.005"),
        ("999999999999.9999", "999999999999.9999"),
        ("0.30000000000000004", "0.3"),
        ("1234567.8900000001", "1234567.89"),
        ("5.2499999999999", "5.25"),
        ("1e12", "is not below 1,000,000,000,000"),
        ("1e99999", "is not below 1,000,000,000,000"),
        ("9" * 5_000, "is not below 1,000,000,000,000"),
        ("999999999999.99999999999", "has more than 4 decimals"),
        ("1e-99999", "has more than 4 decimals"),
        ("0.00001", "has more than 4 decimals"),
        ("1.00005", "has more than 4 decimals"),
        ("1.000000001", "has more than 4 decimals"),
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
def test_texts(text: str, expected: str) -> None:
    try:
        outcome = str(parse_amount(text).normalize())
    except AmountError as error:
        outcome = str(error)
    assert outcome == (str(Decimal(expected).normalize()) if expected[0].isdigit() else expected)


@settings(max_examples=300)
@given(st.integers(0, 10**16 - 1))
@example(10**16 - 1)
def test_every_amount_is_read_back(units: int) -> None:
    amount = Decimal(units) * UNIT
    assert parse_amount(str(amount)) == amount
    # A float holds 15 digits: beyond them the amount is one with the same float.
    read = parse_amount(repr(float(amount)))
    assert float(read) == float(amount)
    assert read == amount or units >= 10**15


@settings(max_examples=300)
@given(st.floats(0, float(LIMIT), exclude_max=True))
def test_any_float_is_read_closely_or_rejected(value: float) -> None:
    try:
        read = parse_amount(repr(value))
    except AmountError:
        return
    assert 0 <= read < LIMIT and abs(read - Decimal(value)) < Decimal("1e-9") + Decimal(value) / 2**52
