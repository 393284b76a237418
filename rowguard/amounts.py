"""The one rule for amounts in Python; the domain scoring.amount has the same rule.

An amount is a finite number from 0 to below 1e12 with at most four decimals. A number within a billionth of one is
that amount: arithmetic in binary leaves such noise. Everything else is rejected, never rounded.
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

_NOISE_LIMIT = Decimal("1e-9")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,5})?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class AmountError(ValueError):
    """The value is no amount; the message says why."""


def parse_amount(value: str | int | Decimal) -> Decimal:
    """Return the amount that a number is.

    Args:
        value: Text in ASCII digits, exponents allowed; or an exact number. A binary float comes as its shortest
            text, as `repr` writes it.

    Returns:
        The same number, of the same scale; without noise if it has any.

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
    rounded = number.quantize(UNIT)
    if rounded != number:
        # A tiny number is not the noise of 0: it would be lost.
        if not rounded or rounded == LIMIT or abs(rounded - number) >= _NOISE_LIMIT:
            raise AmountError(TOO_FINE)
        return rounded
    return abs(number)  # zero may have a sign
