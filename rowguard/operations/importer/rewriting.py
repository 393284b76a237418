"""How the values of one column of a mapping become texts that import reads: numbers, times, words, currencies."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rowguard.operations.importer.mapping import ColumnRule, Currency
from rowguard.operations.importer.problems import shown
from rowguard.operations.importer.rates import DailyRates
from rowguard.operations.importer.texts import MISSING_WORDS

_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_CENT = Decimal("0.01")
# ISO 4217: decimals of a currency where they are not two.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_GROUPED = {
    mark: re.compile(
        rf"[+-]?\d{{1,3}}(?P<group>[{groups}\s'’])\d{{3}}((?P=group)\d{{3}})*(\{mark}\d+)?", re.ASCII
    )
    for mark, groups in ((".", ","), (",", r"\."))
}


class LeftOutError(Exception):
    """The row is not loaded, as the mapping says."""


class Rewriting(NamedTuple):
    """Rewrites the texts of these columns of the file to one text of ours, or raises ValueError with the reason."""

    sources: tuple[str, ...]
    rewrite: Callable[..., str | None]
    step: Decimal | None = None
    """Distance of numbers that a float must tell apart."""


def rewriting_of(name: str, rule: ColumnRule, currency: Currency | None) -> Rewriting | None:
    """Return how a column is rewritten; None where its values are as ours.

    Args:
        name: The column of ours.
        rule: Where it comes from.
        currency: Of amounts.
    """
    if rule.values is not None:
        return Rewriting((rule.source,), _value_rewriter(rule.values))
    if rule.format or rule.epoch or rule.time_zone:
        return Rewriting((rule.source,), _time_rewriter(rule))
    if name == "amount" and currency is not None:
        others = tuple(source for source in (currency.source, currency.rate_from) if source)
        step = Decimal(1) if rule.scale else _CENT
        return Rewriting(
            (rule.source, *others), _amount_rewriter(rule, currency, partial(_stated_rate, currency)), step
        )
    if rule.decimal or rule.scale or rule.negative:
        scale = rule.scale if isinstance(rule.scale, int) else 1

        def rewrite(text: str) -> str | None:
            number = _parse_number(text, rule)
            return None if number is None else f"{number / scale:f}"

        return Rewriting((rule.source,), rewrite, Decimal(1) if rule.scale else _CENT)
    return None


def _value_rewriter(values: dict[str, str]) -> Callable[[str], str]:
    def rewrite(text: str) -> str:
        if text not in values:
            raise ValueError(f"is not one of {', '.join(list(values)[:8])}")
        return values[text]

    return rewrite


def daily_amounts(
    rule: ColumnRule, time_rule: ColumnRule, currency: Currency, rates: DailyRates
) -> Rewriting:
    """Return how amounts are rewritten whose rates change by day.

    Args:
        rule: Where the amount comes from.
        time_rule: Where the transaction's time comes from.
        currency: Of amounts.
        rates: By day.
    """
    rewrite_time = _time_rewriter(time_rule)

    def rate_on_day(code: str, others: tuple[str | None, ...]) -> Decimal:
        time: str | None = None
        with suppress(ValueError):
            time = rewrite_time(others[-1] or "")
        if not time:
            raise ValueError("has no day, by which its rate is found")
        rate = rates.rate(code, date.fromisoformat(time[:10]))
        if rate is None:
            raise ValueError(f"is in {code}, which has no rate to {currency.to} on {time[:10]} or before")
        return rate

    others = (*([currency.source] if currency.source else []), time_rule.source)
    step = Decimal(1) if rule.scale else _CENT
    return Rewriting((rule.source, *others), _amount_rewriter(rule, currency, rate_on_day), step)


def _amount_rewriter(
    rule: ColumnRule, currency: Currency, find_rate: Callable[[str, tuple[str | None, ...]], Decimal]
) -> Callable[..., str | None]:
    def rewrite(text: str, *others: str | None) -> str | None:
        number = _parse_number(text, rule)
        if number is None:
            return None
        code = (others[0] if currency.source else currency.to) or ""
        if not re.fullmatch("[A-Za-z]{3}", code):
            raise ValueError(f"has {shown(code)} as its currency" if code else "has no currency")
        code = code.upper()
        scale = 10 ** _decimals(code) if rule.scale == "minor_units" else rule.scale or 1
        number /= scale
        if code == currency.to:
            return f"{number:f}"
        return f"{(number * find_rate(code, others)).quantize(_CENT, ROUND_HALF_EVEN):f}"

    return rewrite


def _stated_rate(currency: Currency, code: str, others: tuple[str | None, ...]) -> Decimal:
    if currency.rate_from:
        try:
            rate = Decimal(others[-1] or "")
        except InvalidOperation:
            rate = Decimal(0)
        if not (rate.is_finite() and rate > 0):
            raise ValueError(f"has no rate from {code} to {currency.to}")
        return rate
    if code not in currency.rates:
        raise ValueError(
            f"is in {code}, which has no rate; add it to rates, or leave such rows out with where"
        )
    return currency.rates[code]


def _decimals(code: str) -> int:
    return 0 if code in _NO_DECIMALS else 3 if code in _THREE_DECIMALS else 2


def _parse_number(text: str, rule: ColumnRule) -> Decimal | None:
    if text.lower() in MISSING_WORDS:
        return None
    plain = text
    if rule.decimal:
        if grouped := _GROUPED[rule.decimal].fullmatch(text):
            plain = plain.replace(grouped["group"], "")
        elif rule.decimal == "," and "." in text:
            raise ValueError("is no number with a decimal comma")
        plain = plain.replace(rule.decimal, ".")
    if not _NUMBER.fullmatch(plain):
        raise ValueError("is no number" + (" with a decimal comma" if rule.decimal == "," else ""))
    number = Decimal(plain)
    if number < 0 and rule.negative == "skip":
        raise LeftOutError
    return number


def _time_rewriter(rule: ColumnRule) -> Callable[[str], str | None]:
    zone = ZoneInfo(rule.time_zone) if rule.time_zone else UTC

    def parse(text: str) -> datetime:
        if rule.epoch:
            try:
                microseconds = Decimal(text) * 1_000_000 / _UNITS[rule.epoch]
                return _EPOCH + timedelta(microseconds=int(microseconds))
            except (InvalidOperation, OverflowError, ValueError):
                raise ValueError(f"is no time in {rule.epoch} since 1970") from None
        try:
            time = datetime.strptime(text, rule.format) if rule.format else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"is no time of the form {rule.format or 'ISO 8601'}") from None
        if time.tzinfo is not None:
            return time
        time = time.replace(tzinfo=zone)
        if time.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != time.replace(tzinfo=None):
            raise ValueError(f"does not exist in {rule.time_zone}: the clocks went forward")
        return time

    def rewrite(text: str) -> str | None:
        if text.lower() in MISSING_WORDS:
            return None
        try:
            time = parse(text).astimezone(UTC).replace(tzinfo=None)
            return time.isoformat(sep=" ", timespec="microseconds")
        except OverflowError:
            raise ValueError("is outside the calendar") from None

    return rewrite
