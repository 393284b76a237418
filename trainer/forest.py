"""The forest: what is fitted, and on which rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier


@dataclass(frozen=True)
class ForestParameters:
    """A forest whose call in the database stays cheap: cost grows with trees and with leaves per tree.

    `fraud_weight` is the class weight of fraud against 1 for legitimate rows; the balanced weight (a
    hundred and more) ranks worse, because it drowns the rare but telling legitimate rows.
    `max_rows_per_tree` bounds the time and memory of a fit on large windows.
    """

    trees: int = 32
    max_leaves: int = 32
    min_rows_per_leaf: int = 20
    features_per_split: float = 0.4
    fraud_weight: float = 4.0
    max_rows_per_tree: int = 250_000
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit_forest(
    features: NDArray[np.float32],
    is_fraud: NDArray[np.bool_],
    parameters: ForestParameters,
    *,
    n_jobs: int = -1,
) -> RandomForestClassifier:
    """Fit on `features` of shape (rows, features) and `is_fraud` of shape (rows,).

    The result predicts with one job: its sum runs in tree order, which is what the SQL reproduces.
    """
    forest = RandomForestClassifier(
        n_estimators=parameters.trees,
        max_leaf_nodes=parameters.max_leaves,
        min_samples_leaf=parameters.min_rows_per_leaf,
        max_features=parameters.features_per_split,
        class_weight={0: 1.0, 1: parameters.fraud_weight},
        max_samples=min(len(is_fraud), parameters.max_rows_per_tree),
        random_state=parameters.seed,
        n_jobs=n_jobs,
    )
    forest.fit(features, is_fraud.astype(np.int8))
    forest.n_jobs = 1
    return forest


def fraud_probability(forest: RandomForestClassifier, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The forest's probability of fraud, shape (rows,)."""
    probabilities: NDArray[np.float64] = forest.predict_proba(features)[:, 1]
    return probabilities
