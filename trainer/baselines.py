"""What the forest is measured against: models that are not deployed, so scikit-learn scores them itself.

Source of the first: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud
Detection: Practical Handbook" (ULB), its feature set and scikit-learn's default forest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rowguard.errors import TrainingDataError
from trainer.backtest import BacktestPlan, BacktestResult, judge, rows_to_test
from trainer.dataset import Dataset

HANDBOOK_WINDOWS = ("1d", "7d", "30d")

Columns = NDArray[np.floating[Any]]


def handbook_features(features: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float64]:
    """The handbook's 15 columns, made of ours; shape (rows, 15).

    The handbook counts the transaction itself among its user's, so it is added to our windows, which leave it out.
    A merchant without transactions in the window has a risk of 0. Merchant windows have day boundaries here, and are
    rolling there.

    Raises:
        TrainingDataError: the feature list lacks one of the columns; names them.
    """
    wanted = ["transaction_amount", "is_weekend", "is_night"]
    for window in HANDBOOK_WINDOWS:
        wanted += [f"user_txn_count_{window}", f"user_amount_mean_{window}"]
        wanted += [f"merchant_txn_count_{window}", f"merchant_fraud_rate_{window}"]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise TrainingDataError(
            f"the handbook's features cannot be made: the list lacks {', '.join(missing)}"
        )
    of = {name: features[:, list(names).index(name)].astype(np.float64) for name in wanted}
    amount = of["transaction_amount"]
    columns = [amount, of["is_weekend"], of["is_night"]]
    for window in HANDBOOK_WINDOWS:
        before = of[f"user_txn_count_{window}"]
        spent = np.nan_to_num(of[f"user_amount_mean_{window}"]) * before
        columns += [before + 1, (spent + amount) / (before + 1)]
    for window in HANDBOOK_WINDOWS:
        columns += [
            np.nan_to_num(of[f"merchant_txn_count_{window}"]),
            np.nan_to_num(of[f"merchant_fraud_rate_{window}"]),
        ]
    return np.column_stack(columns)


def _same(features: NDArray[np.float32], names: Sequence[str]) -> Columns:
    return features


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
BASELINES: Mapping[str, tuple[Callable[[], Any], Callable[[NDArray[np.float32], Sequence[str]], Columns]]] = (
    MappingProxyType(
        {
            "handbook features, default forest": (_default_forest, handbook_features),
            "logistic regression": (_logistic_regression, _same),
            "gradient boosting": (_gradient_boosting, _same),
        }
    )
)


def judge_baseline(
    name: str, plan: BacktestPlan, train: Dataset, rows: Dataset, names: Sequence[str]
) -> BacktestResult:
    """Fit one of BASELINES on `train` and judge it on the test days among `rows`, as the forest is."""
    make, columns = BASELINES[name]
    fitted_on = columns(train.features, names)
    # A column without any value tells nothing, and scikit-learn's binning breaks on it.
    known = ~np.isnan(fitted_on).all(axis=0)
    model = make()
    model.fit(fitted_on[:, known], train.is_fraud.astype(np.int8))
    tested = rows_to_test(plan, rows)
    scores: NDArray[np.float64] = model.predict_proba(columns(rows.features[tested], names)[:, known])[:, 1]
    nodes = sum(int(tree.tree_.node_count) for tree in getattr(model, "estimators_", []))
    return judge(plan, scores, rows, tested, nodes)
