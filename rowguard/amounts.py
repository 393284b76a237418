"""The one rule for amounts in Python; the database has the same rule for stored rows.

An amount is a finite number from 0 to below 1e12 with at most four decimals. Text and decimals are exact: they are
accepted unchanged or rejected, never rounded.
"""

from __future__ import annotations

import re
from decimal import Decimal

LIMIT = Decimal(10) ** 12
MAX_DECIMALS = 4
UNIT = Decimal(1).scaleb(-MAX_DECIMALS)

MALFORMED = "is not a number"
NOT_FINITE = "is not finite"
NEGATIVE = "is negative"
TOO_LARGE = "is not below 1,000,000,000,000"
TOO_FINE = f"has more than {MAX_DECIMALS} decimals"
REASONS = (MALFORMED, NOT_FINITE, NEGATIVE, TOO_LARGE, TOO_FINE)

# Arithmetic in binary leaves noise far below the fourth decimal.
_FLOAT_NOISE = Decimal("1e-9")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,5})?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class AmountError(ValueError):
    """The value is no amount; the message is one of `REASONS`."""


def parse_amount(value: str | int | Decimal) -> Decimal:
    """Return an amount exactly as it was given.

    Args:
        value: Text in ASCII digits, exponents allowed; or an exact number.

    Returns:
        The same number, of the same scale.

    Raises:
        AmountError: It is no number, or outside the rule.
    """
    if isinstance(value, str):
        if _NOT_FINITE.fullmatch(value):
            raise AmountError(NOT_FINITE)
        if not _NUMBER.fullmatch(value):
            raise AmountError(MALFORMED)
    number = Decimal(value)
    if not number.is_finite():
        raise AmountError(NOT_FINITE)
    if number < 0:
        raise AmountError(NEGATIVE)
    if number >= LIMIT:
        raise AmountError(TOO_LARGE)
    if number.quantize(UNIT) != number:
        raise AmountError(TOO_FINE)
    return abs(number)  # zero may have a sign


def parse_float_amount(shortest: str) -> Decimal:
    """Return the amount that a binary float represents.

    Args:
        shortest: The shortest text that gives the float again, as `repr` writes it.

    Returns:
        The number of at most four decimals that the float is nearest to, or differs from by arithmetic noise.

    Raises:
        AmountError: As `parse_amount`; a float with more decimals than noise explains is rejected, not rounded.
    """
    if _NUMBER.fullmatch(shortest):
        number = Decimal(shortest)
        if 0 <= number < LIMIT:
            rounded = number.quantize(UNIT)
            is_noise = abs(rounded - number) <= _FLOAT_NOISE and bool(rounded)
            if is_noise or float(rounded) == float(shortest):
                return min(abs(rounded), LIMIT - UNIT)  # just below the limit it may round to it
    return parse_amount(shortest)
