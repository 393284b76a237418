"""Boosted models: their parameters and their fit, by one of three libraries."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rowguard.errors import SettingsError

Family = Literal["xgboost", "lightgbm", "hist"]
# The newest rows of a fit decide how many trees it gets: a random part would leak from the future.
EARLY_STOPPING_FRACTION = 0.15
EARLY_STOPPING_ROUNDS = 30
MIN_FRAUDS_TO_STOP = 10


@dataclass(frozen=True)
class BoostingParameters:
    """Parameters of a boosted model; a call in the database costs more with each tree and each leaf.

    Attributes:
        family: The library that fits it.
        n_estimators: Most trees; early stopping may keep fewer.
        fraud_class_weight: Weight of fraud; legitimate rows have 1.
        subsample: Fraction of the rows, and of the features, that each tree gets; not of `hist`.
        monotonic: By feature 1 where the score may only rise with it, -1 where it may only fall.
    """

    family: Family = "hist"
    n_estimators: int = 200
    max_leaf_nodes: int = 16
    learning_rate: float = 0.06
    min_samples_leaf: int = 40
    l2_regularization: float = 5.0
    fraud_class_weight: float = 1.0
    subsample: float = 0.8
    max_bin: int = 63
    monotonic: Mapping[str, int] = field(default_factory=dict)
    random_state: int = 0


def fit_boosted(
    features: NDArray[np.float32],
    is_fraud: NDArray[np.bool_],
    parameters: BoostingParameters,
    *,
    names: tuple[str, ...] = (),
) -> Any:
    """Fit a boosted model. The number of trees is the best one on the newest rows.

    Args:
        features: Shape (rows, features), NaN where missing, in order of event time.
        is_fraud: Shape (rows,).
        parameters: Size and randomness.
        names: Feature list in model order; needed for monotone constraints.

    Returns:
        The library's fitted classifier.

    Raises:
        SettingsError: The library is not installed, or a constrained feature is not in the list.
    """
    trees = parameters.n_estimators
    end = int(len(is_fraud) * (1 - EARLY_STOPPING_FRACTION))
    constraints = _constraints(parameters, names, features.shape[1])
    weights = np.where(is_fraud, parameters.fraud_class_weight, 1.0)
    if min(is_fraud[:end].sum(), is_fraud[end:].sum()) >= MIN_FRAUDS_TO_STOP:
        model = _create(parameters, trees, constraints).fit(
            features[:end], is_fraud[:end], sample_weight=weights[:end]
        )
        trees = _best_tree_count(model, parameters.family, features[end:], is_fraud[end:])
    return _create(parameters, trees, constraints).fit(features, is_fraud, sample_weight=weights)


def _create(parameters: BoostingParameters, trees: int, constraints: list[int]) -> Any:
    common: dict[str, Any] = {
        "learning_rate": parameters.learning_rate,
        "random_state": parameters.random_state,
    }
    if parameters.family == "hist":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            max_iter=trees,
            max_leaf_nodes=parameters.max_leaf_nodes,
            min_samples_leaf=parameters.min_samples_leaf,
            l2_regularization=parameters.l2_regularization,
            max_bins=parameters.max_bin,
            early_stopping=False,
            monotonic_cst=constraints if any(constraints) else None,
            **common,
        )
    common |= {
        "n_estimators": trees,
        "max_leaves" if parameters.family == "xgboost" else "num_leaves": parameters.max_leaf_nodes,
        "reg_lambda": parameters.l2_regularization,
        "subsample": parameters.subsample,
        "colsample_bytree": parameters.subsample,
        "max_bin": parameters.max_bin,
        "monotone_constraints": tuple(constraints) if any(constraints) else None,
        "n_jobs": -1,
    }
    library = import_library(parameters.family)
    if parameters.family == "xgboost":
        return library.XGBClassifier(
            grow_policy="lossguide", tree_method="hist", max_depth=0, min_child_weight=1.0, **common
        )
    if not any(constraints):
        del common["monotone_constraints"]
    return library.LGBMClassifier(
        min_child_samples=parameters.min_samples_leaf, subsample_freq=1, verbose=-1, **common
    )


def import_library(name: str) -> Any:
    """Import an optional library.

    Args:
        name: Its name, which is that of the extra too.

    Returns:
        The module.

    Raises:
        SettingsError: It is not installed; states the command.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SettingsError(f"{name} is not installed; run: pip install 'rowguard[{name}]'") from None


def _constraints(parameters: BoostingParameters, names: tuple[str, ...], count: int) -> list[int]:
    result = [0] * count
    for name, direction in parameters.monotonic.items():
        if name not in names:
            raise SettingsError(f"there is no feature {name!r} to constrain; there are: {', '.join(names)}")
        if direction not in (-1, 1):
            raise SettingsError(f"the monotone constraint of {name!r} is 1 or -1, not {direction}")
        result[names.index(name)] = direction
    return result


def _best_tree_count(
    model: Any, family: Family, features: NDArray[np.float32], is_fraud: NDArray[np.bool_]
) -> int:
    """The number of trees with the least log loss on the newest rows, without later ones that hardly lower it."""
    best, count, losses_since = math.inf, 1, 0
    for number, margins in enumerate(_staged_margins(model, family, features), start=1):
        loss = float(np.mean(np.logaddexp(0.0, np.where(is_fraud, -margins, margins))))
        if loss < best:
            best, count, losses_since = loss, number, 0
        else:
            losses_since += 1
        if losses_since >= EARLY_STOPPING_ROUNDS:
            break
    return count


def _staged_margins(model: Any, family: Family, features: NDArray[np.float32]) -> Any:
    if family == "hist":
        yield from model.staged_decision_function(features)
        return
    count = model.n_estimators
    for trees in range(1, count + 1):
        if family == "xgboost":
            yield model.predict(features, output_margin=True, iteration_range=(0, trees))
        else:
            yield model.predict(features, raw_score=True, num_iteration=trees)
