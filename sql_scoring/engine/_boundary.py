"""Rows at which a translation of a model goes wrong first, and what scikit-learn says of them.

Every row mixes values on and around the model's own thresholds with values that are awkward in themselves.
scikit-learn accepts every row: none rounds to an infinite float32, and NaN appears only where the model
takes it.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._supported import check_supported

_LARGEST = float(np.finfo(np.float32).max)
# The greatest float64 that still rounds to a finite float32.
_LARGEST_ACCEPTED = float(np.nextafter((_LARGEST + 2.0**128) / 2.0, 0.0))
_AWKWARD = (
    0.0, -0.0, 1.0, -1.0, 0.1, 0.01, 307.65, 99.99, 1e-5, 0.5, 16777217.0, 2.0**53 + 2,
    5e-324, -5e-324, 1e-310, 7e-46, 7.1e-46, 1e-45, -1e-45, 1e-40, 1.1754943508222875e-38, 1e-30,
    1e9, -1e9, 1e30, -1e30, _LARGEST, -_LARGEST, _LARGEST_ACCEPTED, -_LARGEST_ACCEPTED,
)  # fmt: skip


def boundary_rows(model: Any, n: int, *, seed: int) -> npt.NDArray[np.float64]:
    """``n`` adversarial rows for ``model``, float64 of shape (n, features); the same for the same seed."""
    check_supported(model)
    rng = np.random.default_rng(seed)
    thresholds = _thresholds(model)
    with_missing = accepts_missing(model)
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
    if with_missing:
        # Some rows without, some with a few, some of nothing else.
        share = rng.choice([0.0, 0.1, 0.5, 1.0], size=(n, 1), p=[0.5, 0.35, 0.13, 0.02])
        rows[rng.random(rows.shape) < share] = np.nan
    return rows


def reference_scores(model: Any, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``predict_proba(rows)[:, 1]`` summed in tree order (``n_jobs=1``); the model is left as it is."""
    check_supported(model)
    if hasattr(model, "n_jobs"):
        model = copy.copy(model)
        model.n_jobs = 1  # more threads add the trees in whatever order they finish
    with np.errstate(over="ignore", invalid="ignore"):  # its check of the input sums up huge values
        scores: npt.NDArray[np.float64] = model.predict_proba(rows)[:, 1]
    return scores


def accepts_missing(model: Any) -> bool:
    """Whether ``predict_proba`` of this model takes NaN."""
    try:
        model.predict_proba(np.full((1, int(model.n_features_in_)), np.nan))
    except ValueError:
        return False
    return True


def _thresholds(model: Any) -> list[npt.NDArray[np.float64]]:
    found: list[list[npt.NDArray[np.float64]]] = [[] for _ in range(int(model.n_features_in_))]
    for estimator in getattr(model, "estimators_", [model]):
        tree = estimator.tree_
        feature, threshold = tree.feature, tree.threshold
        for number, values in enumerate(found):
            values.append(threshold[(feature == number) & np.isfinite(threshold)])
    return [np.unique(np.concatenate(values)) for values in found]


def _near(rng: np.random.Generator, base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each value of ``base`` (shape (n,)) or one of the floats where rounding or comparing could slip."""
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
    chosen: npt.NDArray[np.float64] = np.choose(rng.integers(len(choices), size=len(base)), choices)
    return chosen
