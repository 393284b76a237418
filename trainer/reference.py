"""How scores and features were distributed in training: what monitoring compares live rows with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLED_ROWS = 100_000
# Scores crowd near zero, and what matters happens in the last hundredth.
SCORE_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
FEATURE_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def reference_distribution(
    names: tuple[str, ...], features: NDArray[np.float32], scores: NDArray[np.float64]
) -> dict[str, Any]:
    """Bins and shares as small JSON.

    Args:
        features: the training rows, shape (rows, features), NaN where missing.
        scores: probabilities on rows that the scoring forest had not seen, shape (rows,).
    """
    if len(features) > SAMPLED_ROWS:
        features = features[np.random.default_rng(0).choice(len(features), SAMPLED_ROWS, replace=False)]
    return {
        "rows": len(features),
        "score": _bins(scores, SCORE_QUANTILES),
        "features": [
            {"name": name, **_bins(features[:, at].astype(np.float64), FEATURE_QUANTILES)}
            for at, name in enumerate(names)
        ],
    }


def _bins(values: NDArray[np.float64], quantiles: tuple[float, ...]) -> dict[str, Any]:
    """Bin i holds the values with exactly i edges at or below them, as width_bucket() counts. The shares of the
    bins and the share of missing values sum to 1."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, quantiles)) if len(known) else np.empty(0)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    total = max(len(values), 1)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(count) / total, 6) for count in counts],
        "missing": round(1 - len(known) / total, 6),
        "mean": float(known.mean()) if len(known) else None,
    }
