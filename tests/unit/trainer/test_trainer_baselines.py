"""The baselines: the handbook's columns made of ours, and each model judged as the forest is."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from rowguard.errors import TrainingDataError
from trainer.backtest import BacktestPlan
from trainer.baselines import BASELINES, handbook_features, judge_baseline
from trainer.dataset import Dataset

NAMES = ["transaction_amount", "is_weekend", "is_night"] + [
    f"{what}_{window}"
    for window in ("1d", "7d", "30d")
    for what in ("user_txn_count", "user_amount_mean", "merchant_txn_count", "merchant_fraud_rate")
]
NAN = float("nan")


def test_the_transaction_itself_counts_among_its_users() -> None:
    row = [30, 1, 0, 0, NAN, NAN, NAN, 2, 60, 4, 0.25, 5, 6, 0, NAN]
    columns = handbook_features(np.array([row], np.float32), NAMES)
    assert columns.tolist() == [[30, 1, 0, 1, 30, 3, 50, 6, 10, 0, 0, 4, 0.25, 0, 0]]


def test_a_list_without_them_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="the list lacks merchant_fraud_rate_30d"):
        handbook_features(np.zeros((1, len(NAMES) - 1), np.float32), NAMES[:-1])


def rows(start: datetime, days: int, seed: int) -> Dataset:
    """A hundred rows a day; a high amount at a risky merchant is fraud. One column is empty, as without locations."""
    generator = np.random.default_rng(seed)
    features = generator.random((days * 100, len(NAMES) + 1)).astype(np.float32)
    features[:, -1] = np.nan
    features[generator.random(features.shape) < 0.05] = np.nan
    features[:, :3] = np.nan_to_num(features[:, :3])
    fraud = (features[:, 0] > 0.8) & (features[:, NAMES.index("merchant_fraud_rate_7d")] > 0.5)
    first = np.datetime64(start.replace(tzinfo=None), "us")
    return Dataset(
        features=features,
        is_fraud=fraud,
        user_id=generator.integers(0, 10_000, days * 100),
        occurred_at=first + np.repeat(np.arange(days), 100) * np.timedelta64(1, "D"),
    )


@pytest.mark.parametrize("name", BASELINES)
def test_each_ranks_far_better_than_guessing(name: str) -> None:
    plan = BacktestPlan(datetime(2026, 3, 1, tzinfo=UTC), train_days=7, delay_days=1, test_days=3)
    train, later = rows(plan.start, 7, seed=1), rows(plan.start, 11, seed=2)
    result = judge_baseline(name, plan, train, later, [*NAMES, "user_location_match"])
    assert 250 < result.rows <= 300
    assert result.average_precision > 4 * result.frauds / result.rows
    assert result.auc > 0.85
    assert (result.nodes > 0) == ("forest" in name)
    assert result == judge_baseline(name, plan, train, later, [*NAMES, "user_location_match"])
