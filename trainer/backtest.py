"""The protocol of the fraud-detection handbook: train on some days, wait for the labels, test on the next.

Source: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection:
Practical Handbook" (ULB): sequential split with a delay, known-compromised cards dropped, card precision at k.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from rowguard.errors import SettingsError, TrainingDataError
from trainer.dataset import Dataset

TOP_CARDS = 100


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

    @property
    def train_end(self) -> datetime:
        return self.start + timedelta(days=self.train_days)

    @property
    def test_start(self) -> datetime:
        return self.train_end + timedelta(days=self.delay_days)

    @property
    def test_end(self) -> datetime:
        return self.test_start + timedelta(days=self.test_days)

    def shifted(self, folds: int) -> BacktestPlan:
        """The same plan so many weeks later."""
        later = self.start + timedelta(weeks=folds)
        return BacktestPlan(later, self.train_days, self.delay_days, self.test_days)


@dataclass(frozen=True)
class BacktestResult:
    """Metrics of one fold; `rows` and `frauds` are those of the test days after dropping known cards.

    `nodes` is 0 where the model is not a forest.
    """

    start: datetime
    auc: float
    average_precision: float
    card_precision_at_100: float
    nodes: int
    rows: int
    frauds: int


def rows_to_test(plan: BacktestPlan, rows: Dataset) -> NDArray[np.bool_]:
    """Which of `rows` (from plan.start to plan.test_end) are tested, shape (rows,).

    On test day D the cards drop out that had a fraud between the training start and day D - delay - 1.
    """
    first = _day(plan.start)
    days = rows.occurred_at.astype("datetime64[D]").astype(np.int64) - first
    tested = np.zeros(len(rows), bool)
    first_test = plan.train_days + plan.delay_days
    for day in range(first_test, first_test + plan.test_days):
        compromised = np.unique(rows.user_id[rows.is_fraud & (days <= day - plan.delay_days - 1)])
        tested |= (days == day) & ~np.isin(rows.user_id, compromised)
    return tested


def card_precision(
    scores: NDArray[np.float64], rows: Dataset, tested: NDArray[np.bool_], top: int = TOP_CARDS
) -> float:
    """Mean over test days of the share of frauds among the `top` cards by their highest score of the day; cards
    that were caught are not looked at again."""
    days = rows.occurred_at[tested].astype("datetime64[D]")
    users, fraud = rows.user_id[tested], rows.is_fraud[tested]
    caught: NDArray[np.int64] = np.empty(0, np.int64)
    precisions = []
    for day in np.unique(days):
        of_day = (days == day) & ~np.isin(users, caught)
        cards, card = np.unique(users[of_day], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, card, scores[of_day])
        is_fraud = np.zeros(len(cards), bool)
        np.logical_or.at(is_fraud, card, fraud[of_day])
        chosen = np.argsort(-highest, kind="stable")[:top]
        precisions.append(is_fraud[chosen].sum() / top)
        caught = np.union1d(caught, cards[chosen][is_fraud[chosen]])
    return float(np.mean(precisions))


def judge(
    plan: BacktestPlan, scores: NDArray[np.float64], rows: Dataset, tested: NDArray[np.bool_], nodes: int
) -> BacktestResult:
    """The metrics of one fold; `scores` are those of the tested rows.

    Raises:
        TrainingDataError: the test days have rows of one class only.
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


def _day(instant: datetime) -> int:
    return int(np.datetime64(instant.replace(tzinfo=None), "D").astype(np.int64))
