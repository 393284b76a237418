"""The forest: its parameters and its fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from sql_scoring.engine import TreeModel, reference_probabilities, reference_scores, returns_margin

TREES_PER_STEP = 8


@dataclass(frozen=True)
class ForestParameters:
    """Parameters by scikit-learn's names; a call in the database costs more with each tree and each leaf.

    Attributes:
        fraud_class_weight: Class weight of fraud; legitimate rows have 1. The balanced weight, 100 and more, ranks
            worse: it drowns the rare legitimate rows that look like fraud.
        max_samples: Most rows per tree, which bounds time and memory of a fit on large windows.
    """

    n_estimators: int = 32
    max_leaf_nodes: int = 32
    min_samples_leaf: int = 20
    max_features: float = 0.4
    fraud_class_weight: float = 4.0
    max_samples: int = 250_000
    random_state: int = 0


def fit_forest(
    features: NDArray[np.float32],
    is_fraud: NDArray[np.bool_],
    parameters: ForestParameters,
    *,
    n_jobs: int = -1,
    on_trees: Callable[[int], None] = lambda count: None,
) -> RandomForestClassifier:
    """Fit a forest.

    Args:
        features: Shape (rows, features), NaN where missing.
        is_fraud: Shape (rows,).
        parameters: Size and randomness of the forest.
        n_jobs: Threads of the fit.
        on_trees: Called with the number of fitted trees.

    Returns:
        The forest, set to predict with one job: then its sum runs in tree order, as the SQL function's does.
    """
    arguments = asdict(parameters)
    weight = arguments.pop("fraud_class_weight")
    arguments["max_samples"] = min(len(is_fraud), parameters.max_samples)
    forest = RandomForestClassifier(**arguments, class_weight={0: 1.0, 1: weight}, n_jobs=n_jobs)
    forest.warm_start = (
        True  # the trees are those of one fit: scikit-learn draws their seeds in the same order
    )
    for count in range(TREES_PER_STEP, parameters.n_estimators + TREES_PER_STEP, TREES_PER_STEP):
        forest.n_estimators = min(count, parameters.n_estimators)
        forest.fit(features, is_fraud.astype(np.int8))
        on_trees(forest.n_estimators)
    forest.warm_start = False
    forest.n_jobs = 1
    return forest


def predict_fraud_probability(model: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the probability of fraud.

    Args:
        model: A fitted forest or boosted model.
        features: Shape (rows, features), NaN where missing.

    Returns:
        Shape (rows,).
    """
    if isinstance(model, TreeModel) and not model.is_margin:
        return reference_scores(model, features.astype(np.float64))
    if returns_margin(model):
        return reference_probabilities(model, reference_scores(model, features.astype(np.float64)))
    probabilities: NDArray[np.float64] = model.predict_proba(features)[:, 1]
    return probabilities
