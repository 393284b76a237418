"""The baselines rank; the handbook's columns equal a plain computation per row."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from trainer.backtest import baselines
from trainer.backtest.baselines import BASELINES, score_baseline
from trainer.backtest.handbook import handbook_features
from trainer.backtest.protocol import BacktestPlan, Fold, evaluate_fold
from trainer.dataset import Dataset

WIDTH = 15
RISK = 12


def test_the_handbooks_columns_equal_a_plain_computation() -> None:
    """Few users and merchants, one merchant missing, times that repeat and lie exactly a window apart."""
    draw = np.random.default_rng(4)
    count = 400
    hours = np.sort(draw.integers(0, 45 * 24, count))
    times = np.datetime64("2026-01-01T00:00:00", "us") + hours * np.timedelta64(1, "h")
    users, merchants = draw.integers(1, 6, count), draw.integers(-1, 4, count)
    amounts, frauds = draw.integers(1, 90, count).astype(float), draw.random(count) < 0.3
    columns = handbook_features(users, merchants, times, amounts, frauds)
    assert columns.shape == (count, WIDTH)
    for row in range(count):
        day = times[row].item()
        expected = [amounts[row], int(day.weekday() >= 5), int(day.hour <= 6)]
        for window in (1, 7, 30):
            near = (hours > hours[row] - window * 24) & (hours <= hours[row]) & (users == users[row])
            expected += [near.sum(), amounts[near].mean()]
        for window in (1, 7, 30):
            end = hours[row] - 7 * 24
            near = (hours > end - window * 24) & (hours <= end) & (merchants == merchants[row])
            near &= merchants[row] >= 0
            expected += [near.sum(), frauds[near].mean() if near.any() else 0]
        assert columns[row] == pytest.approx(expected)


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
def test_each_ranks_far_better_than_guessing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = BacktestPlan(datetime(2026, 3, 1, tzinfo=UTC), train_days=7, delay_days=1, test_days=3)
    later = rows(plan.start, 11, seed=2)
    fold = Fold(plan, later[:700], later)
    handbook = np.nan_to_num(later.features[:, :WIDTH]).astype(np.float64)
    monkeypatch.setattr(baselines, "read_handbook_features", lambda url, plan: handbook)
    result = evaluate_fold(fold, *score_baseline(name, "", fold))
    assert 250 < result.rows <= 300
    assert result.average_precision > 4 * result.frauds / result.rows
    assert result.auc > 0.85
    assert (result.nodes > 0) == ("forest" in name)
    assert result == evaluate_fold(fold, *score_baseline(name, "", fold))
