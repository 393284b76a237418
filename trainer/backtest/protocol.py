"""The protocol of the fraud-detection handbook: train on some days, wait for the labels, test on the next days.

Source: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection:
Practical Handbook" (ULB): sequential split with a delay, known-compromised cards dropped, card precision at k.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from rowguard.errors import SettingsError, TrainingDataError
from trainer.dataset import Dataset, to_datetime64

TOP_CARDS = 100
OUTSIDE_CALENDAR = "the days of the backtest are outside the calendar"


@dataclass(frozen=True)
class BacktestPlan:
    """Train on [start, start + train), wait `delay` days, test on the `test` days that follow. All in whole days."""

    start: datetime
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7

    def __post_init__(self) -> None:
        for name in ("train_days", "test_days"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name.replace('_', ' ')} must be at least 1")
        if self.delay_days < 0:
            raise SettingsError("delay days must not be negative")
        try:
            self.test_end  # noqa: B018
        except OverflowError:
            raise SettingsError(OUTSIDE_CALENDAR) from None

    @property
    def train_end(self) -> datetime:
        return self.start + timedelta(days=self.train_days)

    @property
    def test_start(self) -> datetime:
        return self.train_end + timedelta(days=self.delay_days)

    @property
    def test_end(self) -> datetime:
        return self.test_start + timedelta(days=self.test_days)

    def shifted(self, weeks: int) -> BacktestPlan:
        """Return the plan of the fold `weeks` later."""
        try:
            return replace(self, start=self.start + timedelta(weeks=weeks))
        except OverflowError:
            raise SettingsError(OUTSIDE_CALENDAR) from None


@dataclass(frozen=True)
class BacktestResult:
    """Metrics of one fold; `rows` and `frauds` are the tested ones, `nodes` is 0 for a model that is no forest."""

    start: datetime
    auc: float
    average_precision: float
    card_precision_at_100: float
    nodes: int
    rows: int
    frauds: int


def test_mask(plan: BacktestPlan, rows: Dataset) -> NDArray[np.bool_]:
    """Return which rows are tested.

    On test day D the cards drop out that had a fraud between the training start and day D - delay - 1.

    Args:
        plan: The fold.
        rows: Its rows from plan.start to plan.test_end.

    Returns:
        Shape (rows,).
    """
    first = to_datetime64(plan.start).astype("datetime64[D]")
    days = (rows.occurred_at.astype("datetime64[D]") - first).astype(np.int64)
    tested = np.zeros(len(rows), bool)
    first_test = plan.train_days + plan.delay_days
    for day in range(first_test, first_test + plan.test_days):
        compromised = np.unique(rows.user_id[rows.is_fraud & (days <= day - plan.delay_days - 1)])
        tested |= (days == day) & ~np.isin(rows.user_id, compromised)
    return tested


def card_precision(
    scores: NDArray[np.float64], rows: Dataset, tested: NDArray[np.bool_], top: int = TOP_CARDS
) -> float:
    """Compute card precision@k: the fraction of fraud among the riskiest cards of a day, averaged over the days.

    Args:
        scores: Scores of the tested rows.
        rows: The fold's rows.
        tested: Which of them are tested, shape (rows,).
        top: Cards per day, by their highest score; a detected card drops out of later days.

    Returns:
        The mean over the test days.
    """
    subset = rows[tested]
    days = subset.occurred_at.astype("datetime64[D]")
    users, fraud = subset.user_id, subset.is_fraud
    detected: NDArray[np.int64] = np.empty(0, np.int64)
    precisions = []
    for day in np.unique(days):
        of_day = (days == day) & ~np.isin(users, detected)
        cards, card = np.unique(users[of_day], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, card, scores[of_day])
        is_fraud = np.zeros(len(cards), bool)
        np.logical_or.at(is_fraud, card, fraud[of_day])
        top_cards = np.argsort(-highest, kind="stable")[:top]
        precisions.append(is_fraud[top_cards].sum() / top)
        detected = np.union1d(detected, cards[top_cards][is_fraud[top_cards]])
    return float(np.mean(precisions))


def evaluate_fold(
    plan: BacktestPlan, scores: NDArray[np.float64], rows: Dataset, tested: NDArray[np.bool_], nodes: int
) -> BacktestResult:
    """Compute the metrics of one fold.

    Args:
        plan: The fold.
        scores: Scores of the tested rows.
        rows: The fold's rows.
        tested: Which of them are tested, shape (rows,).
        nodes: Nodes of the forest, 0 for another model.

    Returns:
        The metrics.

    Raises:
        TrainingDataError: The test days have rows of one class only.
    """
    fraud = rows.is_fraud[tested]
    if not fraud.any() or fraud.all():
        raise TrainingDataError(
            f"the test days {plan.test_start:%Y-%m-%d} to {plan.test_end:%Y-%m-%d} hold {len(fraud):,} rows with "
            f"{int(fraud.sum()):,} frauds; there is nothing to rank"
        )
    return BacktestResult(
        start=plan.start,
        auc=float(roc_auc_score(fraud, scores)),
        average_precision=float(average_precision_score(fraud, scores)),
        card_precision_at_100=card_precision(scores, rows, tested),
        nodes=nodes,
        rows=len(fraud),
        frauds=int(fraud.sum()),
    )
