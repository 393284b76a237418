"""scikit-learn's boosted classifiers as ``TreeModel``.

``HistGradientBoostingClassifier`` compares float64 and adds float64, the baseline first. Categorical columns come
first in its trees, as their codes, and a value that the fit did not know counts as missing.
``GradientBoostingClassifier`` rounds inputs to float32 and adds ``learning_rate * value``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from m2cgen import ast

from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._tree_model import TreeModel, build_tree, fraction
from sql_scoring.engine._trees import Pieces, Split, TreeSum, union
from sql_scoring.engine.errors import UnsupportedModelError


def load_hist_gradient_boosting(model: Any) -> TreeModel:
    """Read a fitted ``HistGradientBoostingClassifier``; raises UnsupportedModelError."""
    _check_fitted(model, "_predictors")
    columns, categories = _hist_columns(model)
    bitsets = [predictor.raw_left_cat_bitsets for (predictor,) in model._predictors]
    trees = [
        _hist_tree(predictor.nodes, bitset, columns, categories)
        for (predictor,), bitset in zip(model._predictors, bitsets, strict=True)
    ]
    start = float(np.ravel(model._baseline_prediction)[0])
    return _as_tree_model(model, TreeSum(trees, start=start))


def _hist_columns(model: Any) -> tuple[list[int], dict[int, list[float]]]:
    """The input column of each column of the trees, and the known categories of the categorical ones."""
    is_categorical = model.is_categorical_
    if is_categorical is None or not np.any(is_categorical):
        return list(range(model.n_features_in_)), {}
    first = np.flatnonzero(is_categorical).tolist()
    columns = [*first, *np.flatnonzero(~is_categorical).tolist()]
    known: dict[int, list[float]] = {}
    for position, values in enumerate(model._preprocessor.named_transformers_["encoder"].categories_):
        if values.dtype.kind not in "iufb":
            raise UnsupportedModelError(
                f"feature {columns[position] + 1} has categories of text: rowguard's features are numbers, so fit it "
                "on their codes"
            )
        known[position] = values.astype(np.float64).tolist()
    return columns, known


def _hist_tree(nodes: Any, bitsets: Any, columns: list[int], categories: dict[int, list[float]]) -> ast.Expr:
    is_leaf, counts = nodes["is_leaf"].tolist(), nodes["count"].tolist()
    lefts = [-1 if leaf else child for leaf, child in zip(is_leaf, nodes["left"].tolist(), strict=True)]
    rights = nodes["right"].tolist()
    features, thresholds = nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist()
    missing_left, in_categories = nodes["missing_go_to_left"].tolist(), nodes["is_categorical"].tolist()
    bitset_of = nodes["bitset_idx"].tolist()

    def split(node: int) -> Split:
        left = fraction(counts[lefts[node]], counts[rights[node]])
        feature, missing = columns[features[node]], bool(missing_left[node])
        if not in_categories[node]:
            return Split(feature, thresholds[node], missing, left)
        bits = bitsets[bitset_of[node]].tolist()
        known = categories[features[node]]
        goes_left = [bits[code // 32] >> code % 32 & 1 for code in range(len(known))]
        pieces = _category_pieces(known, [bool(one) for one in goes_left], missing_left=missing)
        return Split(feature, pieces[-1][1], missing, left, pieces)

    return build_tree(lefts, rights, nodes["value"].tolist(), split)


def _category_pieces(known: list[float], goes_left: list[bool], *, missing_left: bool) -> Pieces:
    """The numbers that go left: exact categories, and unknown numbers where missing values go left."""
    listed = [value for value, left in zip(known, goes_left, strict=True) if left != missing_left]
    points = union((math.nextafter(value, -math.inf), value) for value in listed if not math.isnan(value))
    if not missing_left:
        return points or ((math.inf, math.inf),)
    bounds = [-math.inf, *(bound for point in points for bound in point), math.inf]
    return tuple(zip(bounds[::2], bounds[1::2], strict=True))


def load_gradient_boosting(model: Any) -> TreeModel:
    """Read a fitted ``GradientBoostingClassifier``; raises UnsupportedModelError."""
    _check_fitted(model, "estimators_")
    if model.loss != "log_loss":
        raise UnsupportedModelError(
            f"this GradientBoostingClassifier has the loss {model.loss!r}: fit it with loss='log_loss'"
        )
    if not (model.init is None or model.init == "zero"):
        raise UnsupportedModelError(
            "this GradientBoostingClassifier starts from another estimator (init): fit it with init=None or 'zero'"
        )
    start = float(model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0, 0])
    rate = float(model.learning_rate)
    trees = [_scaled_tree(estimator.tree_, rate) for (estimator,) in model.estimators_]
    return _as_tree_model(model, TreeSum(trees, start=start), accepts_missing=False)


def _scaled_tree(tree: Any, rate: float) -> ast.Expr:
    features, thresholds = tree.feature.tolist(), tree.threshold.tolist()
    missing_left, rows = tree.missing_go_to_left.tolist(), tree.weighted_n_node_samples.tolist()
    lefts, rights = tree.children_left.tolist(), tree.children_right.tolist()

    def split(node: int) -> Split:
        left = fraction(rows[lefts[node]], rows[rights[node]])
        return Split(features[node], cut_point(thresholds[node]), bool(missing_left[node]), left)

    return build_tree(lefts, rights, [rate * value for value in tree.value[:, 0, 0].tolist()], split)


def _check_fitted(model: Any, attribute: str) -> None:
    name = type(model).__name__
    if not hasattr(model, attribute):
        raise UnsupportedModelError(f"this {name} is not fitted: call fit first")
    if len(model.classes_) != 2:
        raise UnsupportedModelError(
            f"this {name} was fitted on {len(model.classes_)} class(es): exactly two are needed"
        )


def _as_tree_model(model: Any, total: TreeSum, *, accepts_missing: bool = True) -> TreeModel:
    from sklearn import __version__

    return TreeModel(
        kind=type(model).__name__,
        library=f"scikit-learn {model.__getstate__().get('_sklearn_version', __version__)}",
        sum=total,
        n_features_in_=int(model.n_features_in_),
        feature_names_in_=tuple(map(str, getattr(model, "feature_names_in_", ()))),
        accepts_missing=accepts_missing,
    )
