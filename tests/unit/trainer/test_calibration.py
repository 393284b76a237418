"""Isotonic steps against scikit-learn, and in the engine's numpy form."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.isotonic import IsotonicRegression

from sql_scoring.engine import Steps, transpile
from trainer.calibration import calibrated, fit_steps, measure_calibration


def _rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.random(3_000).round(3)
    return scores, random.random(3_000) < 0.3 * scores**2


def test_steps_are_the_pools_of_scikit_learn() -> None:
    scores, is_fraud = _rows(1)
    steps = fit_steps(scores, is_fraud)
    assert list(steps.bounds) == sorted(set(steps.bounds)) and list(steps.values) == sorted(set(steps.values))
    assert len(steps.values) == len(steps.bounds) + 1 > 5
    fitted = IsotonicRegression(y_min=0, y_max=1).fit(scores, is_fraud.astype(float))
    assert np.array_equal(steps.apply(scores), fitted.predict(scores))
    assert steps.apply(scores).mean() == pytest.approx(is_fraud.mean())
    # Between two pools the lower one; beyond the ends the ends.
    bound = steps.bounds[2]
    at = np.array([np.nextafter(bound, 0), bound, -9.0, 9.0])
    assert steps.apply(at).tolist() == [steps.values[2], steps.values[3], steps.values[0], steps.values[-1]]


def test_scores_without_information_have_one_step() -> None:
    steps = fit_steps(np.linspace(0, 1, 100), np.arange(100) < 10)
    assert steps == Steps((), (0.1,))
    assert steps.apply(np.array([-1.0, 0.5])).tolist() == [0.1, 0.1]
    forest = RandomForestClassifier(2, max_leaf_nodes=3, random_state=0)
    forest.fit(np.arange(40.0).reshape(-1, 2), np.arange(20) % 2)
    text = transpile(
        calibrated(forest, steps), feature_names=["a", "b"], function_name="f", arguments="array"
    )
    assert text.count("RETURN ") == 1 and "0.1" in text


def test_calibration_is_measured_on_other_rows() -> None:
    scores, is_fraud = _rows(2)
    measured = measure_calibration(scores, is_fraud)
    assert measured["brier"] < np.mean((scores - is_fraud) ** 2)
    assert abs(float(measured["mean"]) - float(measured["fraud_rate"])) < 0.01
