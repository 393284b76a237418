"""The backtest's protocol on days small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from rowguard.errors import SettingsError, TrainingDataError
from trainer.backtest.protocol import BacktestPlan, Fold, card_precision, evaluate_fold
from trainer.dataset import Dataset

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = BacktestPlan(START, train_days=2, delay_days=2, test_days=2)


def dataset(rows: list[tuple[int, int, bool]]) -> Dataset:
    """Rows of (day from the start, user, fraud)."""
    ordered = sorted(rows)
    start = np.datetime64(START.replace(tzinfo=None), "us")
    return Dataset(
        features=np.zeros((len(ordered), 1), np.float32),
        is_fraud=np.array([fraud for _, _, fraud in ordered]),
        user_id=np.array([user for _, user, _ in ordered], np.int64),
        occurred_at=np.array([start + np.timedelta64(day, "D") for day, _, _ in ordered]),
    )


def test_only_the_test_days_are_tested() -> None:
    rows = dataset([(day, 1, False) for day in range(8)])
    assert Fold(PLAN, rows[:0], rows).is_tested.tolist() == [False] * 4 + [True] * 2 + [False] * 2


def test_cards_known_as_compromised_drop_out_from_the_day_on_which_it_is_known() -> None:
    rows = dataset(
        [(0, 1, True), (2, 2, True), (3, 3, True)]
        + [(day, user, False) for day in (4, 5) for user in (1, 2, 3)]
    )
    tested = Fold(PLAN, rows[:0], rows).tested
    days = (tested.occurred_at - np.datetime64("2026-03-01")) // np.timedelta64(1, "D")
    rest = list(zip(days.astype(int).tolist(), tested.user_id.tolist(), strict=True))
    # Test day 4 knows of frauds up to day 1, test day 5 up to day 2; day 3 is not known yet.
    assert rest == [(4, 2), (4, 3), (5, 3)]


def test_cards_known_as_compromised_remain_where_they_are_kept() -> None:
    rows = dataset([(0, 1, True), (4, 1, False), (4, 2, False), (5, 1, True), (6, 1, False)])
    plan = replace(PLAN, drops_compromised=False)
    assert Fold(plan, rows[:0], rows).is_tested.tolist() == [False, True, True, True, False]


def test_recall_is_that_at_one_percent_of_false_positives() -> None:
    rows = dataset([(4, user, user >= 200) for user in range(204)])
    # Of 200 legitimate rows two may be above the threshold: 0.9 has two, 0.7 would have three.
    scores = np.concatenate([[0.95, 0.92, 0.8], np.zeros(197), [0.99, 0.9, 0.7, 0.1]])
    assert evaluate_fold(Fold(PLAN, rows[:0], rows), scores, nodes=1).recall_at_1_percent == 0.5


def test_card_precision_takes_each_cards_highest_score_and_drops_detected_cards() -> None:
    rows = dataset([(4, 1, True), (4, 2, False), (4, 3, False), (5, 1, True), (5, 2, True), (5, 3, False)])
    scores = np.array([0.9, 0.8, 0.1, 0.95, 0.2, 0.6])
    # Day 4, top 1: card 1, a fraud. Day 5: card 1 was detected, so card 3 is on top, no fraud.
    assert card_precision(scores, rows, top=1) == 0.5


def test_the_folds_follow_each_other_by_a_week() -> None:
    later = PLAN.shifted(3)
    assert (later.start - PLAN.start).days == 21
    assert later.test_start == datetime(2026, 3, 26, tzinfo=UTC)


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(SettingsError, match="train days must be at least 1"):
        BacktestPlan(START, train_days=0)
    with pytest.raises(SettingsError, match="must not be negative"):
        BacktestPlan(START, delay_days=-1)
    rows = dataset([(4, 1, False), (5, 1, False)])
    with pytest.raises(TrainingDataError, match="there is nothing to rank"):
        evaluate_fold(Fold(PLAN, rows[:0], rows), np.zeros(2), nodes=1)
