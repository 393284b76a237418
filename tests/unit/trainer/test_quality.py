"""The paired bootstrap behind the quality gate."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from trainer.dataset import Dataset
from trainer.forest import ForestParameters, fit_forest, predict_fraud_probability
from trainer.quality import _Ranking, bootstrap_differences, measure_seed_spread


def test_average_precision_is_scikit_learns_with_ties_and_weights() -> None:
    random = np.random.default_rng(1)
    scores = random.integers(0, 20, 500) / 20
    fraud = random.random(500) < 0.1 + 0.5 * (scores > 0.8)
    weights = random.poisson(1, 500).astype(float)
    ranking = _Ranking(scores, fraud)
    for given in (np.ones(500), weights):
        assert ranking.measure(given, 0.1)[0] == pytest.approx(
            average_precision_score(fraud, scores, sample_weight=given)
        )


def test_recall_at_an_alert_budget() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    fraud = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 1], bool)
    ranking = _Ranking(scores, fraud)
    assert ranking.measure(np.ones(10), 0.1)[1] == pytest.approx(1 / 3)
    assert ranking.measure(np.ones(10), 0.3)[1] == pytest.approx(2 / 3)
    assert ranking.measure(np.ones(10), 0.05)[1] == 0.0


def test_a_worse_ranking_is_significantly_worse_and_the_same_one_is_not() -> None:
    random = np.random.default_rng(2)
    fraud = random.random(5_000) < 0.02
    good = fraud + random.normal(0, 0.4, 5_000)
    bad = fraud + random.normal(0, 2.0, 5_000)
    precision, recall = bootstrap_differences(bad, good, fraud, 0.02)
    assert precision.is_significantly_worse and recall.is_significantly_worse
    assert precision.low < precision.candidate - precision.champion < precision.high
    same, _ = bootstrap_differences(good, good, fraud, 0.02)
    assert (same.low, same.high) == (0.0, 0.0) and not same.is_significantly_worse


def _dataset(count: int, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 6)).astype(np.float32)
    logit = 1.5 * features[:, 0] + features[:, 1] * features[:, 2] - 4.5
    fraud = random.random(count) < 1 / (1 + np.exp(-logit))
    return Dataset(features, fraud, np.zeros(count, np.int64), np.zeros(count, "datetime64[us]"))


def test_the_spread_of_redrawn_forests_is_that_of_seeds() -> None:
    train, later = _dataset(6_000, 1), _dataset(4_000, 2)
    forests = [
        fit_forest(train.features, train.is_fraud, ForestParameters(random_state=seed)) for seed in range(8)
    ]
    precisions = [
        average_precision_score(later.is_fraud, predict_fraud_probability(forest, later.features))
        for forest in forests
    ]
    measured = np.mean([measure_seed_spread(forest, later, 0.01)[0] for forest in forests[:3]])
    assert 0.4 < measured / np.std(precisions, ddof=1) < 2.5


def test_another_draw_of_the_same_forest_is_not_significantly_worse() -> None:
    """Without the spread of the seed some draws are; with it none is, and a worse model still is."""
    train, later = _dataset(6_000, 3), _dataset(20_000, 4)
    forests = [
        fit_forest(train.features, train.is_fraud, ForestParameters(random_state=seed)) for seed in range(6)
    ]
    scores = [predict_fraud_probability(forest, later.features) for forest in forests]
    spread = measure_seed_spread(forests[0], later, 0.01)
    best = max(scores, key=lambda given: average_precision_score(later.is_fraud, given))

    def rejected(given: np.ndarray, seed_std: np.ndarray) -> bool:
        pair = bootstrap_differences(given, best, later.is_fraud, 0.01, seed_std=seed_std)
        return any(difference.is_significantly_worse for difference in pair)

    both = np.hypot(spread, spread)
    assert not any(rejected(given, both) for given in scores)
    weak = fit_forest(train.features[:, 2:], train.is_fraud, ForestParameters())
    assert rejected(predict_fraud_probability(weak, later.features[:, 2:]), both)
