"""XGBoost's JSON document as ``TreeModel``: float32 inputs, ``x < threshold`` goes left, float32 sums.

The document is what ``save_model`` and ``save_raw("json")`` write. ``get_dump`` would lose digits. What this module
does not know in a document is rejected, as a later version may give it a meaning.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from m2cgen import ast

from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._tree_model import TreeModel, build_tree, fraction
from sql_scoring.engine._trees import Pieces, Split, TreeSum, complement, union
from sql_scoring.engine.errors import UnsupportedModelError

VERSIONS = "2.0 to 3.4"
MAX_CATEGORY = 2**24
_LEARNER = {
    "attributes",
    "feature_names",
    "feature_types",
    "gradient_booster",
    "learner_model_param",
    "objective",
}
_BOOSTER = {"model", "name"}
_MODEL = {"cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees"}


def load_xgboost_document(document: Mapping[str, Any], *, all_trees: bool = False) -> TreeModel:
    """Read the JSON document of a binary classifier.

    Args:
        document: What ``save_raw("json")`` holds.
        all_trees: Take the trees past the best iteration too, as ``Booster.predict`` does and a classifier does not.

    Returns:
        The model.

    Raises:
        UnsupportedModelError: It is no gbtree for ``binary:logistic``, or holds what is not known here.
    """
    try:
        return _load(document, all_trees)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        if isinstance(error, UnsupportedModelError):
            raise
        raise UnsupportedModelError(f"the XGBoost document is damaged: {error!r}") from None


def _load(document: Mapping[str, Any], all_trees: bool) -> TreeModel:
    version = tuple(document["version"])
    learner = document["learner"]
    booster = learner["gradient_booster"]
    objective = learner["objective"]["name"]
    parameters = learner["learner_model_param"]
    _check(version, learner, booster, objective, parameters)
    model = booster["model"]
    trees = model["trees"]
    notes: tuple[str, ...] = ()
    best = learner["attributes"].get("best_iteration")
    if best is not None and not all_trees:
        end = model["iteration_indptr"][int(best) + 1]
        if end < len(trees):
            notes = (
                f"the first {end} of {len(trees)} trees, up to the best iteration, as XGBClassifier predicts",
            )
        trees = trees[:end]
    types = learner.get("feature_types") or []
    return TreeModel(
        kind="XGBClassifier",
        library="xgboost " + ".".join(map(str, version)),
        sum=TreeSum(
            [_tree(tree) for tree in trees], start=base_margin(parameters["base_score"]), is_real=True
        ),
        n_features_in_=int(parameters["num_feature"]),
        feature_names_in_=tuple(learner.get("feature_names") or ()),
        notes=(*notes, *(("features of type c are categories by number",) if "c" in types else ())),
    )


def _check(
    version: tuple[int, ...],
    learner: Mapping[str, Any],
    booster: Mapping[str, Any],
    objective: str,
    parameters: Mapping[str, Any],
) -> None:
    written_by = "XGBoost " + ".".join(map(str, version))
    if not (2, 0) <= version[:2] <= (3, 4):
        raise UnsupportedModelError(
            f"the file was written by {written_by}, versions {VERSIONS} are supported: load it with one of those and "
            "save it again"
        )
    if booster["name"] != "gbtree":
        why = {
            "dart": "XGBoost's own predict and inplace_predict differ for it",
            "gblinear": "it has no trees",
        }.get(booster["name"], "it is not known here")
        raise UnsupportedModelError(f"the XGBoost booster {booster['name']!r} is not supported: {why}")
    if objective != "binary:logistic":
        raise UnsupportedModelError(
            f"the XGBoost objective is {objective!r}: only binary:logistic is supported, no regression, no other "
            "number of classes, no custom objective"
        )
    for name, known, keys in (("learner", _LEARNER, learner), ("booster", _BOOSTER, booster),
                              ("model", _MODEL, booster["model"])):  # fmt: skip
        if unknown := set(keys) - known:
            raise UnsupportedModelError(
                f"the {name} of this file of {written_by} holds {', '.join(sorted(unknown))}, which is not known "
                "here; rate_drop and other settings of dart are not supported"
            )
    if int(parameters.get("num_class", 0)) > 1 or int(parameters.get("num_target", 1)) > 1:
        raise UnsupportedModelError(
            "the XGBoost model has several classes or targets: exactly two classes are needed"
        )
    if booster["model"].get("cats", {}).get("enc"):
        raise UnsupportedModelError(
            "the XGBoost model stores categories of a data frame: fit it on their codes, of feature type c"
        )
    if any(group != 0 for group in booster["model"]["tree_info"]):
        raise UnsupportedModelError(
            "the XGBoost model has trees of several classes: exactly two classes are needed"
        )


def base_margin(text: str) -> float:
    """Compute the margin that the sum starts from, as float32, from the probability ``base_score``.

    Args:
        text: ``5E-1``, or from XGBoost 3.1 on ``[5E-1]``.
    """
    probability = np.float32(text.strip("[]"))
    if not 0 < probability < 1:
        raise UnsupportedModelError(f"base_score is {text}, which is no probability between 0 and 1")
    odds = np.float32(1.0) / probability - np.float32(1.0)
    return float(-np.float32(math.log(float(odds)))) if odds != 1 else -0.0


def _tree(tree: Mapping[str, Any]) -> ast.Expr:
    if tree["tree_param"].get("size_leaf_vector", "1") not in ("0", "1"):
        raise UnsupportedModelError("the XGBoost model has vectors in its leaves: one number is needed")
    conditions = np.array(tree["split_conditions"], dtype=np.float32).tolist()
    lefts, rights = tree["left_children"], tree["right_children"]
    covers = tree["sum_hessian"]
    categories = _categories(tree)

    def split(node: int) -> Split:
        left = fraction(covers[lefts[node]], covers[rights[node]])
        feature, missing = tree["split_indices"][node], bool(tree["default_left"][node])
        if node in categories:
            pieces = complement(categories[node])
            return Split(feature, pieces[-1][1], missing, left, pieces)
        return Split(feature, _below(conditions[node]), missing, left)

    return build_tree(lefts, rights, conditions, split)


def _categories(tree: Mapping[str, Any]) -> dict[int, Pieces]:
    """The numbers that go right, by the branches that ask for categories."""
    result = {}
    listed: Sequence[int] = tree["categories"]
    for node, start, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        own = listed[start : start + size]
        if len(own) != size or not all(0 <= category < MAX_CATEGORY for category in own):
            raise UnsupportedModelError(
                "the XGBoost document is damaged: a set of categories is out of range"
            )
        result[node] = union((_below(category), _below(category + 1)) for category in own)
    typed = {
        node for node, kind in enumerate(tree["split_type"]) if kind and tree["left_children"][node] >= 0
    }
    if typed != set(result):
        raise UnsupportedModelError("the XGBoost document is damaged: a branch lacks its categories")
    return result


def _below(threshold: float) -> float:
    """The greatest float64 that, rounded to float32, is below a float32 threshold."""
    with np.errstate(over="ignore", under="ignore"):
        return cut_point(float(np.nextafter(np.float32(threshold), np.float32(-np.inf))))


def load_xgboost(model: Any) -> TreeModel:
    """Read an ``XGBClassifier`` or ``Booster``; raises UnsupportedModelError."""
    booster = _booster(model)
    document = json.loads(bytes(booster.save_raw("json")))
    return load_xgboost_document(document, all_trees=booster is model)


def xgboost_margins(model: Any, rows: np.ndarray) -> np.ndarray:
    """Compute the library's own margins of rows of shape (rows, features)."""
    import xgboost

    booster = _booster(model)
    matrix = xgboost.DMatrix(
        rows,
        feature_names=booster.feature_names,
        feature_types=booster.feature_types,
        enable_categorical=True,
        nthread=1,
    )
    end = 0
    if booster is not model:
        best = booster.attributes().get("best_iteration")
        end = int(best) + 1 if best is not None else 0
    result: np.ndarray = booster.predict(matrix, output_margin=True, iteration_range=(0, end)).astype(
        np.float64
    )
    return result


def xgboost_probability(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the library's own function from margins to probabilities: a booster without trees."""
    import xgboost

    document = json.loads(bytes(_booster(model).save_raw("json")))
    trees = document["learner"]["gradient_booster"]["model"]
    trees["trees"], trees["tree_info"], trees["iteration_indptr"] = [], [], [0]
    trees["gbtree_model_param"]["num_trees"] = "0"
    document["learner"]["attributes"] = {}
    empty = xgboost.Booster()
    empty.load_model(bytearray(json.dumps(document).encode()))
    features = int(document["learner"]["learner_model_param"]["num_feature"])
    names, types = empty.feature_names, empty.feature_types

    def to_probability(margins: np.ndarray) -> np.ndarray:
        matrix = xgboost.DMatrix(
            np.zeros((len(margins), features)),
            base_margin=margins.astype(np.float32),
            feature_names=names,
            feature_types=types,
            enable_categorical=True,
            nthread=1,
        )
        result: np.ndarray = empty.predict(matrix).astype(np.float64)
        return result

    return to_probability


def _booster(model: Any) -> Any:
    if not hasattr(model, "get_booster"):
        return model
    if not model.__sklearn_is_fitted__():
        raise UnsupportedModelError("this XGBClassifier is not fitted: call fit first")
    missing = model.missing
    if missing is not None and not math.isnan(missing):
        raise UnsupportedModelError(
            f"this XGBClassifier takes {missing!r} for missing: rowguard's missing values are NULL, so fit it on NaN"
        )
    return model.get_booster()
