"""The baselines rank on the features of the list."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from trainer.backtest.baselines import BASELINES, score_baseline
from trainer.backtest.protocol import BacktestPlan, Fold, evaluate_fold
from trainer.dataset import Dataset

WIDTH = 15  # features that may have values
RISK = 12


def rows(start: datetime, days: int, seed: int) -> Dataset:
    """A hundred rows a day; a high amount at a risky merchant is fraud. One column is empty, as without locations."""
    generator = np.random.default_rng(seed)
    features = generator.random((days * 100, WIDTH + 1)).astype(np.float32)
    features[:, -1] = np.nan
    features[generator.random(features.shape) < 0.05] = np.nan
    features[:, :3] = np.nan_to_num(features[:, :3])
    fraud = (features[:, 0] > 0.8) & (features[:, RISK] > 0.5)
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
    later = rows(plan.start, 11, seed=2)
    fold = Fold(plan, later[:700], later)
    result = evaluate_fold(fold, *score_baseline(name, fold))
    assert 250 < result.rows <= 300
    assert result.average_precision > 4 * result.frauds / result.rows
    assert result.auc > 0.85
    assert (result.nodes > 0) == ("forest" in name)
    assert result == evaluate_fold(fold, *score_baseline(name, fold))
