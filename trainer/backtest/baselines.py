"""Baselines of the backtest: models that are not deployed, scored by scikit-learn.

The first is the handbook's: its feature set (see handbook.py) and scikit-learn's default forest.
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

from trainer.backtest.protocol import BacktestPlan, BacktestResult, evaluate_fold, test_mask
from trainer.dataset import Dataset

HANDBOOK = "handbook features, default forest"


# Explicit, so that a baseline is chosen and never discovered.
BASELINES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        HANDBOOK: lambda: RandomForestClassifier(random_state=0, n_jobs=-1),
        "logistic regression": lambda: make_pipeline(
            SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=2_000)
        ),
        "gradient boosting": lambda: HistGradientBoostingClassifier(random_state=0),
    }
)


def evaluate_baseline(
    name: str,
    plan: BacktestPlan,
    train: Dataset,
    rows: Dataset,
    handbook: NDArray[np.float64] | None = None,
) -> BacktestResult:
    """Fit a baseline and evaluate it on the rows on which the forest is evaluated.

    Args:
        name: One of BASELINES.
        plan: The fold.
        train: Its training rows.
        rows: Its rows from plan.start to plan.test_end.
        handbook: The handbook's features of `rows`, which start with those of `train`; for HANDBOOK only.

    Returns:
        The metrics.
    """
    tested = test_mask(plan, rows)
    features: NDArray[Any] = rows.features if handbook is None else handbook
    fitted_on = train.features if handbook is None else handbook[: len(train)]
    # scikit-learn's binning fails on a column without values.
    has_values = ~np.isnan(fitted_on).all(axis=0)
    model = BASELINES[name]()
    model.fit(fitted_on[:, has_values], train.is_fraud.astype(np.int8))
    scores: NDArray[np.float64] = model.predict_proba(features[tested][:, has_values])[:, 1]
    nodes = sum(int(tree.tree_.node_count) for tree in getattr(model, "estimators_", []))
    return evaluate_fold(plan, scores, rows, tested, nodes)
