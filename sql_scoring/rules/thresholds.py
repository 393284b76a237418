"""Chooses the review and the decline threshold of a rule set: by budgets, or by cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from rowguard.errors import NoModelError, RuleError
from rowguard.queries import load_queries
from sql_scoring.registry import champion_version
from sql_scoring.rules.document import Thresholds

QUERIES = load_queries("sql_scoring")
MIN_ROWS = 200


@dataclass(frozen=True)
class Costs:
    """What a good row that is declined costs, what a review costs, and a fraud that is approved."""

    false_positive: float
    review: float
    false_negative: float


@dataclass(frozen=True)
class ThresholdChoice:
    """The thresholds, and what they would have done with the rows that they were chosen on."""

    thresholds: Thresholds
    model_version: str
    rows: int
    reviewed: int
    reviewed_frauds: int
    declined: int
    declined_frauds: int
    missed_frauds: int


def choose_thresholds(
    connection: psycopg.Connection[Any],
    *,
    review_rate: float | None = None,
    decline_rate: float | None = None,
    costs: Costs | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> ThresholdChoice:
    """Choose thresholds on the champion's live scores.

    Args:
        connection: To the database.
        review_rate: Largest fraction of rows that is reviewed.
        decline_rate: Largest fraction of rows that is declined.
        costs: Instead of rates: least total cost.
        start: First event time.
        end: First event time after it.

    Raises:
        NoModelError: No model is deployed.
        RuleError: Fewer than `MIN_ROWS` rows were scored, or no fraud is known to weigh costs with.
    """
    version = champion_version(connection)
    if version is None:
        raise NoModelError
    values = {"version": version, "start": start, "end": end}
    rows = [
        (float(score), bool(fraud)) for score, fraud in connection.execute(QUERIES["scored_rows"], values)
    ]
    if len(rows) < MIN_ROWS:
        raise RuleError(f"{version} scored {len(rows)} live rows in this period; thresholds need {MIN_ROWS}")
    if costs is not None and not any(fraud for _, fraud in rows):
        raise RuleError(
            "none of the scored rows is a known fraud; choose by --review-rate and --decline-rate"
        )
    if costs is not None:
        declined, caught = least_cost(rows, costs)
    else:
        declined = _within(rows, (decline_rate or 0.0) * len(rows))
        caught = _within(rows, declined + (review_rate or 0.0) * len(rows))
    frauds = [fraud for _, fraud in rows]
    return ThresholdChoice(
        # No rows are within a budget: the threshold is above every score.
        Thresholds(review=_threshold(rows, caught), decline=_threshold(rows, declined)),
        version,
        len(rows),
        caught - declined,
        sum(frauds[declined:caught]),
        declined,
        sum(frauds[:declined]),
        sum(frauds[caught:]),
    )


def least_cost(rows: Sequence[tuple[float, bool]], costs: Costs) -> tuple[int, int]:
    """Return how many of the highest scores are declined, and how many are declined or reviewed, at least cost.

    Args:
        rows: Score and whether it is fraud, highest first. Rows of one score are never divided.
        costs: Of each kind of row.
    """
    best: tuple[float, int, int] | None = None
    # What the rows up to here cost if declined, if reviewed; and from here on if approved.
    declined_cost = reviewed_cost = 0.0
    missed_cost = costs.false_negative * sum(fraud for _, fraud in rows)
    cheapest_decline = (0.0, 0)
    for position in range(len(rows) + 1):
        if position == len(rows) or position == 0 or rows[position][0] != rows[position - 1][0]:
            cheapest_decline = min(cheapest_decline, (declined_cost - reviewed_cost, position))
            total = missed_cost + reviewed_cost + cheapest_decline[0]
            if best is None or total < best[0]:
                best = (total, cheapest_decline[1], position)
        if position < len(rows):
            is_fraud = rows[position][1]
            declined_cost += 0.0 if is_fraud else costs.false_positive
            reviewed_cost += costs.review
            missed_cost -= costs.false_negative if is_fraud else 0.0
    assert best is not None
    return best[1], best[2]


def _within(rows: Sequence[tuple[float, bool]], budget: float) -> int:
    """How many of the highest rows fit the budget without dividing rows of one score."""
    count = min(int(budget + 1e-9), len(rows))
    while 0 < count < len(rows) and rows[count][0] == rows[count - 1][0]:
        count -= 1
    return count


def _threshold(rows: Sequence[tuple[float, bool]], count: int) -> float | None:
    return rows[count - 1][0] if count else None
