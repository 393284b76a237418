"""Exact Shapley values of every decision, from tables that the deployed model brings with it.

1. ``_leaves`` reads a fitted model as leaves: conditions on threshold ranks, with their weights.
2. ``_groups`` divides the leaves into groups that are looked up together.
3. ``_document`` writes both, the usual ranges and the words of ``reasons`` as one JSON document. It is registered
   with the model and travels in its revision.
4. ``scoring.build_explanation`` computes the tables from the document, in the transaction of the deployment;
   ``additivity`` compares them with the scoring function before it commits.

Serving needs no Python: ``explain_transaction`` and ``explain_features`` are functions of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rowguard.declaration import Reason
from sql_scoring.engine import as_form
from sql_scoring.explain._document import TRAINING, build_document, passed_sample
from sql_scoring.explain._leaves import read_leaves
from sql_scoring.explain.reasons import load_catalogs

__all__ = ["explain_model"]


def explain_model(
    model: Any,
    feature_names: Sequence[str],
    passed: NDArray[np.float32],
    *,
    against: Literal["training", "passed"] = "training",
    declared: Mapping[str, Reason] = MappingProxyType({}),
) -> str:
    """Write the document that the database explains a model from.

    Args:
        model: A fitted model of the engine's `SUPPORTED_MODELS` or `BOOSTED_MODELS`, or its form.
        feature_names: One per feature, in model order.
        passed: Rows that passed, shape (rows, features), NaN where missing; they give the usual ranges.
        against: What a feature that is left out is replaced with: the training rows along each path, or a fixed
            sample of the rows that passed. A boosted model is explained on its margin.
        declared: Words of features that features.yml has.

    Returns:
        JSON text; the same arguments give the same text.

    Raises:
        ExplanationError: A feature has no phrases, or a path is too long.
    """
    catalogs = load_catalogs(feature_names, declared=declared)
    background = TRAINING if against == "training" else passed_sample(passed)
    return build_document(read_leaves(as_form(model)), feature_names, passed, catalogs, background)
