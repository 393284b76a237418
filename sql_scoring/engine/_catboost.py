"""CatBoost's JSON document as ``TreeModel``: float32 inputs, ``x > border`` goes right, float64 sums, bias last.

The text of the document holds every bit. CatBoost's own reader of it does not: compare with a ``.cbm`` file.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from m2cgen import ast

from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._tree_model import TreeModel, build_tree, fraction, require_finite
from sql_scoring.engine._trees import Split, TreeSum, branch
from sql_scoring.engine.errors import UnsupportedModelError

VERSIONS = "1.2"


def load_catboost_document(document: Mapping[str, Any]) -> TreeModel:
    """Read the document that ``save_model(format="json")`` writes.

    Args:
        document: The parsed JSON.

    Returns:
        The model.

    Raises:
        UnsupportedModelError: It is no binary classifier of numbers only, or holds what is not known here.
    """
    try:
        return _load(document)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        if isinstance(error, UnsupportedModelError):
            raise
        raise UnsupportedModelError(f"the CatBoost document is damaged: {error!r}") from None


def _load(document: Mapping[str, Any]) -> TreeModel:
    information, features = document["model_info"], document["features_info"]
    for name in ("categorical_features", "text_features", "embedding_features"):
        if features.get(name):
            raise UnsupportedModelError(
                f"the CatBoost model has {name.replace('_', ' ')}: only numbers are supported: fit it on codes"
            )
    loss = information["params"]["loss_function"]["type"]
    if loss != "Logloss":
        raise UnsupportedModelError(
            f"the CatBoost loss is {loss!r}: only Logloss is supported, no regression, no other number of "
            "classes, no custom loss"
        )
    scale, biases = document["scale_and_bias"]
    if scale != 1 or len(biases) != 1:
        raise UnsupportedModelError(
            "the CatBoost model has another scale than 1: save it without set_scale_and_bias"
        )
    columns = sorted(features["float_features"], key=lambda column: column["feature_index"])
    inputs = _Inputs(columns)
    if "oblivious_trees" in document:
        trees = [_oblivious(tree, inputs) for tree in document["oblivious_trees"]]
    else:
        trees = [_nested(tree, inputs) for tree in document["trees"]]
    names = tuple(column["feature_id"] for column in columns)
    if all(name in ("", str(number)) for number, name in enumerate(names)):
        names = ()
    summary = information.get("catboost_version_info", "")
    version = next(
        (line.split()[-1] for line in summary.splitlines() if "tags/v" in line), "of an unknown version"
    )
    return TreeModel(
        kind="CatBoostClassifier",
        library=f"catboost {version.removeprefix('tags/v')}",
        sum=TreeSum(trees, start=0.0, bias=float(biases[0])),
        n_features_in_=len(columns),
        feature_names_in_=names,
    )


class _Inputs:
    """How the branches of each feature treat missing values."""

    def __init__(self, columns: list[Mapping[str, Any]]) -> None:
        self._treatments = [column["nan_value_treatment"] for column in columns]
        if [column["flat_feature_index"] for column in columns] != list(range(len(columns))):
            raise UnsupportedModelError("the CatBoost model has features that are no numbers")
        if unknown := set(self._treatments) - {"AsIs", "AsFalse", "AsTrue"}:
            raise UnsupportedModelError(
                f"the CatBoost document treats missing values as {unknown.pop()!r}: not known"
            )

    def split(self, condition: Mapping[str, Any], left: float) -> Split:
        """The branch of which ``x > border`` is the right side."""
        if condition["split_type"] != "FloatFeature":
            raise UnsupportedModelError(
                f"the CatBoost model has a split of type {condition['split_type']!r}: only numbers are supported"
            )
        feature = condition["float_feature_index"]
        with np.errstate(over="ignore"):
            border = float(np.float32(condition["border"]))
        return Split(feature, cut_point(border), self._treatments[feature] != "AsTrue", left)


def _oblivious(tree: Mapping[str, Any], inputs: _Inputs) -> ast.Expr:
    """A tree that asks one condition per level; the first is the lowest bit of the leaf's number."""
    conditions = tree["splits"] or []
    values, rows = tree["leaf_values"], tree.get("leaf_weights") or [1.0] * len(tree["leaf_values"])
    depth = len(conditions)
    if len(values) != 2**depth:
        raise UnsupportedModelError(
            "the CatBoost document is damaged, or has several classes: exactly two are needed"
        )

    def subtree(level: int, first: int) -> ast.Expr:  # the last condition first: its leaves follow each other
        if level < 0:
            return ast.NumVal(require_finite(values[first]))
        half, end = first + 2**level, first + 2 ** (level + 1)
        split = inputs.split(
            conditions[level], fraction(math.fsum(rows[first:half]), math.fsum(rows[half:end]))
        )
        return branch(split, subtree(level - 1, first), subtree(level - 1, half))

    return subtree(depth - 1, 0)


def _nested(tree: Mapping[str, Any], inputs: _Inputs) -> ast.Expr:
    """A tree of a grow policy that is not symmetric."""
    nodes = [tree]
    lefts, rights = [], []
    for node in nodes:  # grows while it is read
        lefts.append(len(nodes) if "split" in node else -1)
        rights.append(len(nodes) + 1 if "split" in node else -1)
        if "split" in node:
            nodes += (node["left"], node["right"])
    weights = [float(node.get("weight", 0.0)) for node in nodes]
    for number in reversed(range(len(nodes))):
        if lefts[number] >= 0:
            weights[number] = weights[lefts[number]] + weights[rights[number]]

    def split(number: int) -> Split:
        left = fraction(weights[lefts[number]], weights[rights[number]])
        return inputs.split(nodes[number]["split"], left)

    return build_tree(lefts, rights, [node.get("value", 0.0) for node in nodes], split)


def load_catboost(model: Any) -> TreeModel:
    """Read a ``CatBoostClassifier``; raises UnsupportedModelError."""
    if not model.is_fitted():
        raise UnsupportedModelError("this CatBoostClassifier is not fitted: call fit first")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return load_catboost_document(json.loads(path.read_text(encoding="utf-8")))


def catboost_margins(model: Any, rows: np.ndarray) -> np.ndarray:
    """Compute the library's own margins of rows of shape (rows, features)."""
    result: np.ndarray = model.predict(rows, prediction_type="RawFormulaVal", thread_count=1)
    return result
