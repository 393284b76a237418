"""Adversarial rows for parity tests, and the library's scores of them.

Every row mixes values on and around the model's own thresholds with values that are awkward for any model.
The library accepts every row: none rounds to an infinite float32, and NaN appears only where the model
accepts it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._supported import (
    as_tree_model,
    boosted_library,
    check_supported,
    sklearn_trees,
)
from sql_scoring.engine._tree_model import TreeModel

_LARGEST = float(np.finfo(np.float32).max)
# The greatest float64 that still rounds to a finite float32.
_LARGEST_ACCEPTED = float(np.nextafter((_LARGEST + 2.0**128) / 2.0, 0.0))
_AWKWARD = (
    0.0, -0.0, 1.0, -1.0, 0.1, 0.01, 307.65, 99.99, 1e-5, 0.5, 16777217.0, 2.0**53 + 2,
    5e-324, -5e-324, 1e-310, 7e-46, 7.1e-46, 1e-45, -1e-45, 1e-40, 1.1754943508222875e-38, 1e-30,
    1e9, -1e9, 1e30, -1e30, _LARGEST, -_LARGEST, _LARGEST_ACCEPTED, -_LARGEST_ACCEPTED,
)  # fmt: skip


def boundary_rows(model: Any, n: int, *, seed: int) -> npt.NDArray[np.float64]:
    """Make rows at which an inexact translation of ``model`` would differ first.

    Args:
        model: A fitted binary classifier of ``SUPPORTED_MODELS`` or ``BOOSTED_MODELS``, or a ``TreeModel``.
        n: Number of rows.
        seed: The same seed gives the same rows.

    Returns:
        float64 of shape (n, features).

    Raises:
        UnsupportedModelError: As ``transpile`` does.
    """
    check_supported(model)
    model = as_tree_model(model) or model
    rng = np.random.default_rng(seed)
    thresholds = _thresholds(model)
    rows = np.empty((n, len(thresholds)), dtype=np.float64)
    for feature, own in enumerate(thresholds):
        awkward = rng.choice(np.array(_AWKWARD), size=n)
        if len(own) == 0:
            rows[:, feature] = awkward
            continue
        near = _near(rng, rng.choice(own, size=n))
        spread = float(own.max() - own.min()) or 1.0
        ordinary = rng.uniform(own.min() - 0.1 * spread, own.max() + 0.1 * spread, size=n)
        kind = rng.choice(4, size=n, p=[0.6, 0.2, 0.1, 0.1])
        rows[:, feature] = np.choose(kind, [near, ordinary, np.round(ordinary, 2), awkward])
    np.clip(rows, -_LARGEST_ACCEPTED, _LARGEST_ACCEPTED, out=rows)
    if _accepts_missing(model):
        # Some rows without missing values, some with a few, some with nothing else.
        fraction = rng.choice([0.0, 0.1, 0.5, 1.0], size=(n, 1), p=[0.5, 0.35, 0.13, 0.02])
        rows[rng.random(rows.shape) < fraction] = np.nan
    return rows


def reference_scores(model: Any, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute ``predict_proba(rows)[:, 1]`` summed in tree order (``n_jobs=1``), or a boosted model's margin.

    Args:
        model: A fitted binary classifier of ``SUPPORTED_MODELS`` or ``BOOSTED_MODELS``; it is not changed. The
            margins of a ``TreeModel`` are computed here, without its library.
        rows: float64 of shape (n, features).

    Returns:
        Probabilities or margins of the second class, float64 of shape (n,).

    Raises:
        UnsupportedModelError: As ``transpile`` does.
    """
    check_supported(model)
    if isinstance(model, TreeModel):
        return model.margins(rows)
    if library := boosted_library(model):
        with _quiet():
            return library.margins(model, rows)
    if hasattr(model, "n_jobs"):
        model = copy.copy(model)
        model.n_jobs = 1  # more threads add the trees in the order in which they finish
    with _quiet():
        scores: npt.NDArray[np.float64] = model.predict_proba(rows)[:, 1]
    return scores


@contextmanager
def _quiet() -> Iterator[None]:
    """Without scikit-learn's warnings of arrays without names; its input check adds up huge values."""
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield


def _accepts_missing(model: Any) -> bool:
    if isinstance(model, TreeModel):
        return model.accepts_missing
    try:
        with _quiet():
            model.predict_proba(np.full((1, int(model.n_features_in_)), np.nan))
    except ValueError:
        return False
    return True


def _thresholds(model: Any) -> list[npt.NDArray[np.float64]]:
    if isinstance(model, TreeModel):
        return model.cuts()
    per_feature: list[list[npt.NDArray[np.float64]]] = [[] for _ in range(int(model.n_features_in_))]
    for tree in sklearn_trees(model):
        feature, threshold = tree.feature, tree.threshold
        for number, values in enumerate(per_feature):
            values.append(threshold[(feature == number) & np.isfinite(threshold)])
    return [np.unique(np.concatenate(values)) for values in per_feature]


def _near(rng: np.random.Generator, base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each value of ``base`` (shape (n,)) or one of the floats where rounding or comparing could slip."""
    with np.errstate(over="ignore"):
        as_real = base.astype(np.float32)
        up, down = np.nextafter(as_real, np.float32(np.inf)), np.nextafter(as_real, np.float32(-np.inf))
    cut = np.array([cut_point(value) for value in base.tolist()])
    choices = [
        base,
        np.nextafter(base, np.inf),
        np.nextafter(base, -np.inf),
        as_real.astype(np.float64),
        up.astype(np.float64),
        down.astype(np.float64),
        cut,
        np.nextafter(cut, np.inf),
        np.nextafter(cut, -np.inf),
        np.round(base, 2),
        np.round(base),
        -base,
    ]
    result: npt.NDArray[np.float64] = np.choose(rng.integers(len(choices), size=len(base)), choices)
    return result
