"""Baselines of the backtest: models that are not deployed, scored by scikit-learn.

They are fitted on the features of the list, so that they say what the model itself adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainer.backtest.protocol import Fold

# Explicit, so that a baseline is chosen and never discovered.
BASELINES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "default forest": lambda: RandomForestClassifier(random_state=0, n_jobs=-1),
        "logistic regression": lambda: make_pipeline(
            SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=2_000)
        ),
        "gradient boosting": lambda: HistGradientBoostingClassifier(random_state=0),
    }
)


def score_baseline(name: str, fold: Fold) -> tuple[NDArray[np.float64], int]:
    """Fit a baseline and score the rows on which the forest is evaluated.

    Args:
        name: One of BASELINES.
        fold: The fold.

    Returns:
        Scores of the tested rows, and the nodes of a forest or 0.
    """
    features = fold.rows.features
    train = features[: len(fold.train)]
    # scikit-learn's binning fails on a column without values.
    has_values = ~np.isnan(train).all(axis=0)
    model = BASELINES[name]()
    model.fit(train[:, has_values], fold.train.is_fraud.astype(np.int8))
    scores: NDArray[np.float64] = model.predict_proba(features[fold.is_tested][:, has_values])[:, 1]
    return scores, sum(int(tree.tree_.node_count) for tree in getattr(model, "estimators_", []))
