"""The families of models: a forest, or boosted trees by one of three libraries."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trainer.boosting import BoostingParameters, fit_boosted
from trainer.forest import ForestParameters, fit_forest

ModelFamily = Literal["forest", "xgboost", "lightgbm", "hist"]
ModelParameters = ForestParameters | BoostingParameters


def default_parameters(family: ModelFamily) -> ModelParameters:
    """Return the default parameters of a family.

    Args:
        family: `forest`, or the library of a boosted model.
    """
    return ForestParameters() if family == "forest" else BoostingParameters(family=family)


def family_of(parameters: ModelParameters) -> ModelFamily:
    """Return the family that parameters belong to.

    Args:
        parameters: Of a forest or of a boosted model.
    """
    return "forest" if isinstance(parameters, ForestParameters) else parameters.family


def installed_families() -> tuple[ModelFamily, ...]:
    """Return the families whose library is installed, the forest first."""
    optional = ("xgboost", "lightgbm")
    return tuple(name for name in get_args(ModelFamily) if name not in optional or find_spec(name))


def fit_model(
    features: NDArray[np.float32],
    is_fraud: NDArray[np.bool_],
    parameters: ModelParameters,
    *,
    names: tuple[str, ...] = (),
    on_trees: Callable[[int], None] = lambda count: None,
) -> Any:
    """Fit a model of any family.

    Args:
        features: Shape (rows, features), NaN where missing, in order of event time.
        is_fraud: Shape (rows,).
        parameters: Size and randomness; their class chooses the family.
        names: Feature list in model order; needed for monotone constraints.
        on_trees: Called with the number of fitted trees of a forest.

    Returns:
        The fitted model, of a boosted one the library's object.

    Raises:
        SettingsError: The library is not installed, or a constrained feature is not in the list.
    """
    if isinstance(parameters, BoostingParameters):
        return fit_boosted(features, is_fraud, parameters, names=names)
    return fit_forest(features, is_fraud, parameters, on_trees=on_trees)
