"""The protocol of the fraud-detection handbook: train on some days, wait for the labels, test on the next days.

Source: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection:
Practical Handbook" (ULB): sequential split with a delay, known-compromised cards dropped, card precision at k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from rowguard.errors import SettingsError, TrainingDataError
from rowguard.progress import Progress, silent
from trainer.dataset import Dataset, read_dataset, to_datetime64

TOP_CARDS = 100
OUTSIDE_CALENDAR = "the days of the backtest are outside the calendar"


@dataclass(frozen=True)
class BacktestPlan:
    """Train on [start, start + train), wait `delay` days, test on the `test` days that follow. All in whole days.

    `drops_compromised`: Whether cards with known frauds are left out of the test. Within months most cards would be.
    """

    start: datetime
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7
    drops_compromised: bool = True

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
    """Metrics of one fold. Recall is that at 1 % false positives; `rows` and `frauds` are the tested ones.

    `nodes` is 0 for a model that has none.
    """

    start: datetime
    auc: float
    average_precision: float
    recall_at_1_percent: float
    card_precision_at_100: float
    nodes: int
    rows: int
    frauds: int


@dataclass(frozen=True)
class Fold:
    """A plan, its training rows with the labels known at the test start, and all its rows with all labels."""

    plan: BacktestPlan
    train: Dataset
    rows: Dataset

    @cached_property
    def is_tested(self) -> NDArray[np.bool_]:
        """Which rows are tested: on test day D, without cards that had a fraud from the start to D - delay - 1."""
        plan, rows = self.plan, self.rows
        first = to_datetime64(plan.start).astype("datetime64[D]")
        days = (rows.occurred_at.astype("datetime64[D]") - first).astype(np.int64)
        tested = np.zeros(len(rows), bool)
        first_test = plan.train_days + plan.delay_days
        for day in range(first_test, first_test + plan.test_days):
            if not plan.drops_compromised:
                tested |= days == day
                continue
            compromised = np.unique(rows.user_id[rows.is_fraud & (days <= day - plan.delay_days - 1)])
            tested |= (days == day) & ~np.isin(rows.user_id, compromised)
        return tested

    @cached_property
    def tested(self) -> Dataset:
        """The tested rows."""
        return self.rows[self.is_tested]


Scorer = Callable[[Fold], tuple[NDArray[np.float64], int]]
"""Fits a model on a fold's training rows; returns the scores of its tested rows, and the nodes of a forest or 0."""


def card_precision(scores: NDArray[np.float64], rows: Dataset, top: int = TOP_CARDS) -> float:
    """Compute card precision@k: the fraction of fraud among the riskiest cards of a day, averaged over the days.

    Args:
        scores: Shape (rows,).
        rows: The tested rows.
        top: Cards per day, by their highest score; a detected card drops out of later days.

    Returns:
        The mean over the test days.
    """
    days = rows.occurred_at.astype("datetime64[D]")
    users, fraud = rows.user_id, rows.is_fraud
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


def _recall_at(false_positive_rate: float, fraud: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    rates, recalls, _ = roc_curve(fraud, scores, drop_intermediate=False)
    return float(recalls[np.searchsorted(rates, false_positive_rate, side="right") - 1])


def evaluate_fold(fold: Fold, scores: NDArray[np.float64], nodes: int) -> BacktestResult:
    """Compute the metrics of one fold.

    Args:
        fold: The fold.
        scores: Scores of its tested rows.
        nodes: Nodes of the forest, 0 for another model.

    Returns:
        The metrics.

    Raises:
        TrainingDataError: The test days have rows of one class only.
    """
    plan, fraud = fold.plan, fold.tested.is_fraud
    if not fraud.any() or fraud.all():
        raise TrainingDataError(
            f"the test days {plan.test_start:%Y-%m-%d} to {plan.test_end:%Y-%m-%d} hold {len(fraud):,} rows with "
            f"{int(fraud.sum()):,} frauds; there is nothing to rank"
        )
    return BacktestResult(
        start=plan.start,
        auc=float(roc_auc_score(fraud, scores)),
        average_precision=float(average_precision_score(fraud, scores)),
        recall_at_1_percent=_recall_at(0.01, fraud, scores),
        card_precision_at_100=card_precision(scores, fold.tested),
        nodes=nodes,
        rows=len(fraud),
        frauds=int(fraud.sum()),
    )


def read_folds(url: str, plans: Sequence[BacktestPlan]) -> Iterator[Fold]:
    """Read the rows of each fold. Rows with all labels are read once; a fold is a slice of them.

    Args:
        url: Address of the database.
        plans: The folds, by rising start.

    Yields:
        Each fold.

    Raises:
        TrainingDataError: No fraud of a fold's training days was known in time.
    """
    everything = read_dataset(url, plans[0].start, plans[-1].test_end)
    for plan in plans:
        train = read_dataset(url, plan.start, plan.train_end, plan.test_start)
        if not train.frauds:
            raise TrainingDataError(
                f"no frauds of {plan.start:%Y-%m-%d} to {plan.train_end:%Y-%m-%d} were known "
                f"by {plan.test_start:%Y-%m-%d}"
            )
        yield Fold(plan, train, everything.between(plan.start, plan.test_end))


def evaluate_models(
    url: str, plans: Sequence[BacktestPlan], models: Mapping[str, Scorer], progress: Progress = silent
) -> dict[str, list[BacktestResult]]:
    """Evaluate every model on every fold.

    Args:
        url: Address of the database.
        plans: The folds, by rising start.
        models: Scorer by name.
        progress: Called with each step, a model on a fold.

    Returns:
        The result of each fold by model.

    Raises:
        TrainingDataError: A fold has no frauds to learn from, or test rows of one class only.
    """
    results: dict[str, list[BacktestResult]] = {name: [] for name in models}
    for number, fold in enumerate(read_folds(url, plans), start=1):
        for name, score in models.items():
            progress(f"fold {number} of {len(plans)}: {name}")
            results[name].append(evaluate_fold(fold, *score(fold)))
    return results
