"""What the text of a value means: its value, None where it is missing, or ValueError with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_interface
from uuid import UUID

MAX_FUTURE = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONTROL = "\0-\x1f\x7f-\x9f"
MISSING_WORDS = {"nan", "nat", "<na>", "na", "n/a", "null", "none", "\\n"}
_TRUE = {"true", "t", "yes", "y"}
_FALSE = {"false", "f", "no", "n"}
_WHOLE = re.compile(r"-?\d+(\.0*)?", re.ASCII)
_TIME = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d+)?)?)?)"
    r"( ?(Z|UTC|GMT|(?P<offset>[+-][01]\d(:?[0-5]\d)?)))?",
    re.ASCII | re.IGNORECASE,
)


def parse_integer(text: str, bits: int = 64) -> int | None:
    """Return a whole number.

    Args:
        text: Digits, also with a point and zeros.
        bits: Size of the type.

    Raises:
        ValueError: It is none, or does not fit.
    """
    if text.lower() in MISSING_WORDS:
        return None
    if not _WHOLE.fullmatch(text):
        raise ValueError("is not a whole number")
    digits = text.partition(".")[0]
    # Python rejects very long numbers; those of 20 digits and more do not fit.
    if len(digits.lstrip("-0")) > 19 or not -(2 ** (bits - 1)) <= int(digits) < 2 ** (bits - 1):
        raise ValueError(f"does not fit into {bits} bits")
    return int(digits)


def parse_boolean(text: str) -> bool | None:
    """Return the boolean of a word or digit.

    Raises:
        ValueError: It is none.
    """
    word = text.lower()
    if word in MISSING_WORDS:
        return None
    if _WHOLE.fullmatch(word):
        word = {"0": "false", "1": "true"}.get(word.partition(".")[0], word)
    if word not in _TRUE | _FALSE:
        raise ValueError("is neither true nor false")
    return word in _TRUE


def parse_number(text: str, result: Callable[[str], object]) -> object:
    """Return a finite number.

    Args:
        text: Digits, also with an exponent.
        result: Makes the value of the text.

    Raises:
        ValueError: It is none.
    """
    if text.lower() in MISSING_WORDS:
        return None
    try:
        is_finite = Decimal(text).is_finite() and "_" not in text
    except InvalidOperation:
        is_finite = False
    if not is_finite:
        raise ValueError("is not a number")
    return result(text)


def parse_uuid(text: str) -> str | None:
    """Return the usual text of a UUID.

    Raises:
        ValueError: It is none.
    """
    if text.lower() in MISSING_WORDS:
        return None
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError("is not a UUID") from None


def parse_address(text: str) -> str | None:
    """Return the usual text of an IP address or network.

    Raises:
        ValueError: It is none.
    """
    if text.lower() in MISSING_WORDS:
        return None
    try:
        return str(ip_interface(text)) if "/" in text else str(ip_address(text))
    except ValueError:
        raise ValueError("is not an IP address") from None


def parse_text(text: str, length: int) -> str:
    """Return the text itself.

    Args:
        text: The value.
        length: Longest text, in characters.

    Raises:
        ValueError: It is longer, or holds control characters.
    """
    if re.search(f"[{CONTROL}]", text):
        raise ValueError("holds a control character")
    if len(text) > length:
        raise ValueError(f"is longer than {length} characters")
    return text


def parse_time(text: str, latest: datetime, *, is_event: bool) -> datetime | None:
    """Return the time of an ISO 8601 text; without a zone it is UTC.

    Args:
        text: The value.
        latest: Times of events may not be after it.
        is_event: Whether it is the time of an event, from 1970 on.

    Raises:
        ValueError: It is no such time.
    """
    if text.lower() in MISSING_WORDS:
        return None
    try:
        parts = _TIME.fullmatch(text)
        if not parts or (parts["offset"] and len(parts["time"]) == len("2026-01-01")):
            raise ValueError
        # Python truncates more digits than microseconds. A time without a zone is UTC.
        time = datetime.fromisoformat(parts["time"] + (parts["offset"] or ""))
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("is not an ISO 8601 time") from None
    if is_event and time < EPOCH:
        raise ValueError("is before 1970")
    if is_event and time > latest:
        raise ValueError(f"is more than {MAX_FUTURE.days} day in the future")
    return time
