"""The paired bootstrap behind the quality gate."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from trainer.quality import _Ranking, bootstrap_differences


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
