"""What the forest is measured against: models that are not deployed, so scikit-learn scores them itself.

The first is the handbook's: its feature set (trainer/handbook.py) and scikit-learn's default forest.
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

from trainer.backtest import BacktestPlan, BacktestResult, judge, rows_to_test
from trainer.dataset import Dataset

HANDBOOK = "handbook features, default forest"


def _default_forest() -> Any:
    return RandomForestClassifier(random_state=0, n_jobs=-1)


def _logistic_regression() -> Any:
    return make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(max_iter=2_000),
    )


def _gradient_boosting() -> Any:
    return HistGradientBoostingClassifier(random_state=0)


# Listed one by one: what stands in the table is chosen, not found.
BASELINES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        HANDBOOK: _default_forest,
        "logistic regression": _logistic_regression,
        "gradient boosting": _gradient_boosting,
    }
)


def judge_baseline(
    name: str,
    plan: BacktestPlan,
    train: Dataset,
    rows: Dataset,
    handbook: NDArray[np.float64] | None = None,
) -> BacktestResult:
    """Fit one of BASELINES on `train` and judge it on the test days among `rows`, as the forest is.

    Args:
        handbook: the handbook's features of `rows`, which begin with those of `train`; for HANDBOOK only.
    """
    tested = rows_to_test(plan, rows)
    fitted_on: NDArray[Any]
    judged_on: NDArray[Any]
    if name == HANDBOOK:
        assert handbook is not None and len(handbook) == len(rows)
        fitted_on, judged_on = handbook[: len(train)], handbook[tested]
    else:
        fitted_on, judged_on = train.features, rows.features[tested]
    # A column without any value tells nothing, and scikit-learn's binning breaks on it.
    known = ~np.isnan(fitted_on).all(axis=0)
    model = BASELINES[name]()
    model.fit(fitted_on[:, known], train.is_fraud.astype(np.int8))
    scores: NDArray[np.float64] = model.predict_proba(judged_on[:, known])[:, 1]
    nodes = sum(int(tree.tree_.node_count) for tree in getattr(model, "estimators_", []))
    return judge(plan, scores, rows, tested, nodes)
