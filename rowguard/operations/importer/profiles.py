"""What the values of a file's column look like: the first rows of it decide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

TIME_FORMATS = tuple(
    f"{day}{time}"
    for day in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d", "%d.%m.%y", "%m/%d/%y")
    for time in (
        " %H:%M:%S",
        " %H:%M:%S.%f",
        " %H:%M",
        "T%H:%M:%S",
        "",
        "%H%M%S",
        " %I:%M:%S %p",
        " %I:%M %p",
    )
)
_TRUE = {
    "true",
    "t",
    "yes",
    "y",
    "1",
    "ja",
    "j",
    "wahr",
    "oui",
    "vrai",
    "si",
    "sí",
    "sim",
    "tak",
    "fraud",
    "x",
}
_FALSE = {
    "false",
    "f",
    "no",
    "n",
    "0",
    "nein",
    "falsch",
    "non",
    "faux",
    "nao",
    "não",
    "nie",
    "legit",
    "legitimate",
}
# What import reads as a boolean without a mapping.
_PLAIN_WORDS = {"true", "false", "t", "f", "yes", "no", "y", "n", "0", "1"}
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_POINT = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", re.ASCII)
_COMMA = re.compile(r"-?(\d+|\d{1,3}([. ]\d{3})+)(,\d+)?", re.ASCII)
_EPOCHS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_YEAR, _LAST_YEAR = 1995, 2100
MAX_WORDS = 20

Kind = Literal["empty", "integer", "number", "time", "boolean", "uuid", "text"]


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds.

    Attributes:
        name: In the file.
        kind: Of all its values.
        words: Its values by frequency, where they are few.
        format: Of times: the first strptime format that fits all of them; None for ISO 8601.
        other_format: Another format that fits all of them too and means other times.
        epoch: Of integers: the unit in which they all are times of the last decades.
        decimal: Of numbers: their decimal mark, where it is not a plain point.
        has_offset: Whether its times bring their offset.
        has_negative: Whether a number is negative.
        true_words: Of booleans: the words that are true, where import does not know them.
        longest: Characters of the longest value.
    """

    name: str
    kind: Kind
    words: tuple[str, ...] = ()
    format: str | None = None
    other_format: str | None = None
    epoch: str | None = None
    decimal: str | None = None
    has_offset: bool = False
    has_negative: bool = False
    true_words: tuple[str, ...] | None = None
    longest: int = 0


def profile(name: str, texts: Sequence[str | None]) -> ColumnProfile:
    """Return what a column holds.

    Args:
        name: In the file.
        texts: Its values in the first rows, without blanks around them.
    """
    values = [text for text in texts if text]
    if not values:
        return ColumnProfile(name, "empty")
    counts = Counter(values)
    distinct = list(counts)
    words = tuple(word for word, _ in counts.most_common()) if len(distinct) <= MAX_WORDS else ()
    longest = max(map(len, distinct))
    if 1 <= len(distinct) <= 2 and {word.lower() for word in distinct} <= _TRUE | _FALSE:
        lower = {word.lower() for word in distinct}
        true_words = None if lower <= _PLAIN_WORDS else tuple(w for w in distinct if w.lower() in _TRUE)
        return ColumnProfile(name, "boolean", words, true_words=true_words, longest=longest)
    if _all(distinct, _INTEGER.fullmatch):
        return ColumnProfile(
            name, "integer", words, epoch=_epoch(distinct), format=_time_format(distinct)[0],
            has_negative=any(value.startswith("-") for value in distinct), longest=longest,
        )  # fmt: skip
    for mark, pattern in ((".", _POINT), (",", _COMMA)):
        if _all(distinct, pattern.fullmatch):
            is_plain = mark == "." and not any("," in value for value in distinct)
            has_negative = any(value.startswith("-") for value in distinct)
            return ColumnProfile(
                name,
                "number",
                words,
                decimal=None if is_plain else mark,
                has_negative=has_negative,
                longest=longest,
            )
    if _all(distinct, _iso):
        has_offset = all(datetime.fromisoformat(value).tzinfo is not None for value in distinct)
        return ColumnProfile(name, "time", words, has_offset=has_offset, longest=longest)
    first, other = _time_format(distinct)
    if first:
        return ColumnProfile(name, "time", words, format=first, other_format=other, longest=longest)
    if _all(distinct, UUID):
        return ColumnProfile(name, "uuid", words, longest=longest)
    return ColumnProfile(name, "text", words, longest=longest)


def _all(values: Sequence[str], check: Callable[[str], object]) -> bool:
    try:
        return all(check(value) for value in values)
    except ValueError:
        return False


def _iso(value: str) -> bool:
    return len(value) >= len("2026-01-31") and bool(datetime.fromisoformat(value))


def _epoch(values: Sequence[str]) -> str | None:
    for unit, scale in _EPOCHS.items():
        low, high = (
            datetime(year, 1, 1, tzinfo=UTC).timestamp() * scale for year in (_FIRST_YEAR, _LAST_YEAR)
        )
        if all(low <= int(value) <= high for value in values):
            return unit
    return None


def _time_format(values: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the first format that fits all values, and another one that reads them as other times."""
    fitting = [
        form
        for form in TIME_FORMATS
        if _all(values, lambda value, form=form: datetime.strptime(value, form))  # type: ignore[misc]
    ]
    plausible = [
        form
        for form in fitting
        if all(_FIRST_YEAR <= datetime.strptime(value, form).year <= _LAST_YEAR for value in values)
    ]
    if not plausible:
        return None, None
    first = plausible[0]
    other = next(
        (
            form
            for form in plausible[1:]
            if any(datetime.strptime(value, form) != datetime.strptime(value, first) for value in values)
        ),
        None,
    )
    return first, other
