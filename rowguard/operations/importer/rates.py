"""Rates of currencies by day: a CSV file next to the mapping file, with the columns date, currency and rate."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rowguard.operations.importer.problems import HistoryFileError, shown

COLUMNS = ("date", "currency", "rate")


class DailyRates:
    """Units of the database's currency for one unit of another one, each from its day on.

    Args:
        rates: Day, currency and rate, in any order.
    """

    def __init__(self, rates: Iterator[tuple[date, str, Decimal]]) -> None:
        self._rates: dict[str, list[tuple[date, Decimal]]] = {}
        for day, currency, rate in sorted(rates):
            self._rates.setdefault(currency, []).append((day, rate))

    def rate(self, currency: str, day: date) -> Decimal | None:
        """Return the newest rate that is not later than a day; None without one.

        Args:
            currency: Its code.
            day: In UTC.
        """
        rates = self._rates.get(currency, [])
        position = bisect_right(rates, day, key=lambda entry: entry[0])
        return rates[position - 1][1] if position else None


def read_rates(path: Path) -> DailyRates:
    """Read a file of rates.

    Args:
        path: CSV in UTF-8.

    Returns:
        The rates.

    Raises:
        HistoryFileError: It cannot be read, or a line of it is wrong; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return DailyRates(_read(path, csv.reader(file)))
    except OSError as error:
        raise HistoryFileError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error):
        raise HistoryFileError(f"{path}: is not a CSV file in UTF-8") from None


def _read(path: Path, lines: Iterator[list[str]]) -> Iterator[tuple[date, str, Decimal]]:
    header = tuple(name.strip().lower() for name in next(lines, []))
    if header != COLUMNS:
        raise HistoryFileError(f"{path}: its first line must be {','.join(COLUMNS)}")
    days: set[tuple[date, str]] = set()
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        try:
            day, currency, rate = (text.strip() for text in line)
            entry = date.fromisoformat(day), currency.upper(), Decimal(rate)
            is_good = entry[2].is_finite() and entry[2] > 0 and len(currency) == 3 and currency.isalpha()
        except (ValueError, InvalidOperation):
            is_good = False
        if not is_good:
            text = shown(",".join(line))
            raise HistoryFileError(f"{path}, line {number}: {text} is no day, currency and rate above 0")
        if entry[:2] in days:
            raise HistoryFileError(f"{path}, line {number}: {currency} has two rates of {day}")
        days.add(entry[:2])
        yield entry
