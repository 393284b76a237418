"""A fit in steps, for its progress, is the fit at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from trainer.forest import ForestParameters, fit_forest


@pytest.mark.parametrize("trees", [1, 8, 20])
def test_a_fit_in_steps_is_the_fit_at_once(trees: int) -> None:
    random = np.random.default_rng(trees)
    features = random.normal(size=(800, 5)).astype(np.float32)
    is_fraud = features[:, 0] + random.normal(size=800) > 1.5
    counts: list[int] = []
    parameters = ForestParameters(n_estimators=trees, max_leaf_nodes=8)
    stepwise = fit_forest(features, is_fraud, parameters, on_trees=counts.append)
    whole = RandomForestClassifier(
        n_estimators=trees, max_leaf_nodes=8, min_samples_leaf=20, max_features=0.4, max_samples=800,
        class_weight={0: 1.0, 1: 4.0}, random_state=0,
    ).fit(features, is_fraud.astype(np.int8))  # fmt: skip
    assert counts[-1] == trees == len(stepwise.estimators_)
    assert np.array_equal(stepwise.predict_proba(features), whole.predict_proba(features))
