"""Isotonic calibration: scores become rates of fraud, by a step function that SQL repeats bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from rowguard.errors import SettingsError
from sql_scoring.engine import Steps, TreeModel, as_form

METHODS = ("none", "isotonic")


def check_calibration(method: str) -> None:
    """Reject a method that has no exact SQL form.

    Args:
        method: One of `METHODS`.

    Raises:
        SettingsError: It is none of them; states why.
    """
    if method == "sigmoid":
        raise SettingsError(
            "sigmoid calibration goes through exp(), whose last bit depends on the database server: use isotonic"
        )
    if method not in METHODS:
        raise SettingsError(f"the calibration {method!r} is unknown; there are: {', '.join(METHODS)}")


def fit_steps(scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> Steps:
    """Fit the isotonic steps of scores: their pools of neighbors, each with its rate of fraud.

    scikit-learn interpolates between pools. Here a score between two of them belongs to the lower one, so that
    comparing decides and nothing is rounded.

    Args:
        scores: Of rows that the model was not fitted on, shape (rows,).
        is_fraud: Shape (rows,).

    Returns:
        The steps, at least one.
    """
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=True).fit(
        scores, is_fraud.astype(np.float64)
    )
    at, rates = fitted.X_thresholds_, fitted.y_thresholds_
    starts = np.flatnonzero(np.diff(rates) > 0) + 1
    return Steps(tuple(at[starts].tolist()), tuple(rates[[0, *starts]].tolist()))


def calibrated(model: Any, steps: Steps) -> TreeModel:
    """Return a model whose value is the calibrated probability.

    Args:
        model: A fitted model, or its form.
        steps: See `fit_steps`.

    Returns:
        Its form; explanations still read the score before the steps.
    """
    form = as_form(model)
    return replace(form, sum=replace(form.sum, steps=steps))


def measure_calibration(
    scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]
) -> dict[str, float | int | str]:
    """Measure what calibration does on rows that it was not fitted on: each half by the steps of the other.

    Args:
        scores: Of rows that the model was not fitted on, in order of time, shape (rows,).
        is_fraud: Shape (rows,).

    Returns:
        Number of steps, Brier score, and mean calibrated probability against the rate of fraud.
    """
    half = len(scores) // 2
    parts = (slice(None, half), slice(half, None))
    result = np.concatenate(
        [fit_steps(scores[other], is_fraud[other]).apply(scores[own]) for own, other in (parts, parts[::-1])]
    )
    return {
        "method": "isotonic",
        "steps": len(fit_steps(scores, is_fraud).values),
        "brier": float(np.mean((result - is_fraud) ** 2)),
        "mean": float(result.mean()),
        "fraud_rate": float(is_fraud.mean()),
    }
