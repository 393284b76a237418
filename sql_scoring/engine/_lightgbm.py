"""LightGBM's text file as ``TreeModel``: float64 comparisons and sums.

Inputs of at most 1e-35 (as float32) in size reach the trees as 0. Each branch has its own kind of missing values:
none (NaN counts as 0), zero (0 and NaN are missing), or NaN.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from m2cgen import ast

from sql_scoring.engine._tree_model import TreeModel, build_tree, fraction
from sql_scoring.engine._trees import Pieces, Split, TreeSum, union
from sql_scoring.engine.errors import UnsupportedModelError

VERSIONS = "3 and 4 (format v3, v4)"
_ZERO = float(np.float32(1e-35))
_BEFORE_ZERO = math.nextafter(-_ZERO, -math.inf)
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING = ("none", "zero", "nan")
_MAX_CATEGORY = 2**31 - 1


def load_lightgbm_text(text: str) -> TreeModel:
    """Read the text that ``save_model`` and ``model_to_string`` write.

    Args:
        text: The whole file.

    Returns:
        The model.

    Raises:
        UnsupportedModelError: It is no binary classifier of trees, is cut off, or holds what is not known here.
    """
    head, *parts = re.split(r"^Tree=\d+\n", text, flags=re.MULTILINE)
    header = _fields(head)
    _check(header, text)
    body, _, _ = (parts[-1] if parts else head).partition("end of trees")
    parts = [*parts[:-1], body] if parts else []
    sizes = header.get("tree_sizes", "").split()
    if len(parts) != len(sizes):
        raise UnsupportedModelError(
            f"the LightGBM file holds {len(parts)} of {len(sizes)} trees: it is cut off, save the model again"
        )
    names = tuple(header["feature_names"].split())
    if all(name == f"Column_{number}" for number, name in enumerate(names)):
        names = ()
    try:
        trees = [_tree(_fields(part)) for part in parts]
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, UnsupportedModelError):
            raise
        raise UnsupportedModelError(f"the LightGBM file is damaged: {error!r}") from None
    return TreeModel(
        kind="LGBMClassifier",
        library=f"lightgbm, format {header['version']}",
        sum=TreeSum(trees, start=0.0),
        n_features_in_=int(header["max_feature_idx"]) + 1,
        feature_names_in_=names,
    )


def _fields(part: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in part.splitlines())
    return {name: value for name, _, value in pairs if name}


def _check(header: dict[str, str], text: str) -> None:
    version = header.get("version")
    if version not in ("v3", "v4"):
        raise UnsupportedModelError(
            f"this is no LightGBM file of a supported format: version is {version!r}, v3 and v4 are supported"
        )
    if not {"feature_names", "max_feature_idx", "tree_sizes"} <= set(header) or "end of trees" not in text:
        raise UnsupportedModelError("the LightGBM file is cut off: save the model again")
    objective = header.get("objective", "none").split()
    if objective[0] != "binary":
        raise UnsupportedModelError(
            f"the LightGBM objective is {objective[0]!r}: only binary is supported, no regression, no other number "
            "of classes, no custom objective"
        )
    if "sigmoid:1" not in objective:
        raise UnsupportedModelError("the LightGBM model has another sigmoid than 1: fit it with sigmoid=1")
    if header.get("num_tree_per_iteration", "1") != "1" or header.get("num_class", "1") != "1":
        raise UnsupportedModelError("the LightGBM model has several classes: exactly two are needed")
    if "average_output" in header:
        raise UnsupportedModelError(
            "the LightGBM model averages its trees (boosting=rf), which is not supported: fit it with boosting=gbdt"
        )
    categories = re.search(r"^pandas_categorical:(.*)$", text, flags=re.MULTILINE)
    if categories and categories[1].strip() not in ("null", "[]"):
        raise UnsupportedModelError(
            "the LightGBM model stores categories of a data frame: fit it on their codes (categorical_feature)"
        )


def _tree(fields: dict[str, str]) -> ast.Expr:
    if fields.get("is_linear", "0") != "0":
        raise UnsupportedModelError("the LightGBM model has linear leaves: fit it with linear_tree=False")
    count = int(fields["num_leaves"])
    leaves = [float(value) for value in fields["leaf_value"].split()]
    if len(leaves) != count:
        raise ValueError(f"{len(leaves)} of {count} leaf values")
    if count == 1:
        return build_tree([-1], [-1], leaves, _no_split)

    def numbers(name: str) -> list[int]:
        values = [int(value) for value in fields[name].split()]
        if len(values) != count - 1 and not name.startswith(("cat_", "leaf_count")):
            raise ValueError(f"{len(values)} of {count - 1} values of {name}")
        return values

    features, kinds = numbers("split_feature"), numbers("decision_type")
    thresholds = [float(value) for value in fields["threshold"].split()]
    rows = (
        numbers("internal_count") + numbers("leaf_count") if "leaf_count" in fields else [1] * (2 * count - 1)
    )
    # A child below 0 is a leaf: ~child is its number. Here leaves are nodes after the branches.
    lefts, rights = (
        [child if child >= 0 else count - 2 - child for child in numbers(name)]
        for name in ("left_child", "right_child")
    )
    bounds = numbers("cat_boundaries") if "cat_boundaries" in fields else []
    bits = numbers("cat_threshold") if "cat_threshold" in fields else []

    def split(node: int) -> Split:
        left = fraction(rows[lefts[node]], rows[rights[node]])
        if not kinds[node] & _CATEGORICAL:
            return _numeric(features[node], thresholds[node], kinds[node], left)
        index = int(thresholds[node])
        pieces = _categories(bits[bounds[index] : bounds[index + 1]])
        return Split(features[node], pieces[-1][1], False, left, pieces)

    end = [-1] * count
    return build_tree([*lefts, *end], [*rights, *end], [0.0] * (count - 1) + leaves, split)


def _no_split(node: int) -> Split:
    raise UnsupportedModelError("the LightGBM file is damaged: a tree of one leaf has a branch")


def _numeric(feature: int, threshold: float, kind: int, left: float) -> Split:
    """The branch ``x <= threshold`` on inputs that are 0 near zero."""
    if math.isnan(threshold):
        raise UnsupportedModelError("the LightGBM file is damaged: a threshold is NaN")
    missing, is_default_left = _MISSING[kind >> 2 & 3], bool(kind & _DEFAULT_LEFT)
    cut = threshold
    if -_ZERO <= threshold < _ZERO:
        cut = _ZERO if threshold >= 0 else _BEFORE_ZERO
    if missing == "none":
        return Split(feature, cut, threshold >= 0, left)
    if missing == "nan":
        return Split(feature, cut, is_default_left, left)
    zeros = (_BEFORE_ZERO, _ZERO)
    if is_default_left:
        pieces = union([(-math.inf, cut), zeros])
    else:
        pieces = union([(-math.inf, min(cut, zeros[0])), (zeros[1], max(cut, zeros[1]))])
    if len(pieces) == 1 and pieces[0][0] == -math.inf:
        return Split(feature, pieces[0][1], is_default_left, left)
    return Split(feature, pieces[-1][1], is_default_left, left, pieces)


def _categories(words: list[int]) -> Pieces:
    """The numbers whose whole part is in a set of bits: they go left."""
    pieces = []
    for number, word in enumerate(words):
        for bit in range(32):
            category = 32 * number + bit
            if word >> bit & 1 and category <= _MAX_CATEGORY:
                # Towards zero: the category 0 has the numbers between -1 and 1.
                low = -1.0 if category == 0 else math.nextafter(category, -math.inf)
                pieces.append((low, math.nextafter(category + 1, -math.inf)))
    return union(pieces) or ((math.inf, math.inf),)


def load_lightgbm(model: Any) -> TreeModel:
    """Read an ``LGBMClassifier`` or ``Booster``; raises UnsupportedModelError."""
    return load_lightgbm_text(_booster(model).model_to_string())


def lightgbm_margins(model: Any, rows: np.ndarray) -> np.ndarray:
    """Compute the library's own margins of rows of shape (rows, features)."""
    result: np.ndarray = _booster(model).predict(rows, raw_score=True, num_threads=1)
    return result


def _booster(model: Any) -> Any:
    if not hasattr(model, "booster_") and hasattr(model, "fit"):
        raise UnsupportedModelError("this LGBMClassifier is not fitted: call fit first")
    return getattr(model, "booster_", model)
