"""Shapley values of trees, twice: by definition over all subsets, and by the recursive algorithm.

Both walk scikit-learn's arrays and share nothing with `sql_scoring.explain`, which sums integrals over leaves.
The recursion is Algorithm 2 of Lundberg et al., "Consistent Individualized Feature Attribution for Tree Ensembles":
a path of features with the fractions of their permutations, extended on the way down and unwound where a feature
appears again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Path = list[list[float]]  # feature, fraction when absent, fraction when known, weight of the permutations


def tree_shap(forest: Any, row: NDArray[np.float32]) -> NDArray[np.float64]:
    """Path-dependent Shapley values of the probability, shape (features,)."""
    trees = [estimator.tree_ for estimator in getattr(forest, "estimators_", [forest])]
    values: NDArray[np.float64] = np.sum([_recursive(tree, row) for tree in trees], axis=0) / len(trees)
    return values


def brute_force(forest: Any, row: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same by definition: the mean over all orders in which the features become known."""
    trees = [estimator.tree_ for estimator in getattr(forest, "estimators_", [forest])]
    count = len(row)
    outputs = {
        subset: sum(_expected(tree, row, frozenset(subset), 0) for tree in trees) / len(trees)
        for size in range(count + 1)
        for subset in combinations(range(count), size)
    }
    return _by_definition(outputs, count)


def brute_force_against(
    output: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    row: NDArray[np.float32],
    sample: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Interventional Shapley values: features that are left out come from the rows of a sample."""
    count = len(row)
    outputs = {}
    for size in range(count + 1):
        for subset in combinations(range(count), size):
            mixed = sample.copy()
            mixed[:, list(subset)] = row[list(subset)]
            outputs[subset] = float(output(mixed).mean())
    return _by_definition(outputs, count)


def _by_definition(outputs: dict[tuple[int, ...], float], count: int) -> NDArray[np.float64]:
    values = np.zeros(count)
    for feature in range(count):
        for subset in outputs:
            if feature in subset:
                continue
            weight = math.factorial(len(subset)) * math.factorial(count - len(subset) - 1)
            gain = outputs[tuple(sorted((*subset, feature)))] - outputs[subset]
            values[feature] += weight / math.factorial(count) * gain
    return values


def _expected(tree: Any, row: NDArray[np.float32], known: frozenset[int], node: int) -> float:
    if tree.children_left[node] == tree.children_right[node]:
        return float(tree.value[node, 0, 1])
    if int(tree.feature[node]) in known:
        return _expected(tree, row, known, _child(tree, row, node))
    return sum(
        _cover(tree, child) / _cover(tree, node) * _expected(tree, row, known, int(child))
        for child in (tree.children_left[node], tree.children_right[node])
    )


def _recursive(tree: Any, row: NDArray[np.float32]) -> NDArray[np.float64]:
    values = np.zeros(len(row))

    def visit(node: int, path: Path, absent: float, known: float, feature: int) -> None:
        path = _extend(path, absent, known, feature)
        if tree.children_left[node] == tree.children_right[node]:
            for index in range(1, len(path)):
                weight = sum(entry[3] for entry in _unwind(path, index))
                gain = path[index][2] - path[index][1]
                values[int(path[index][0])] += weight * gain * float(tree.value[node, 0, 1])
            return
        split, hot = int(tree.feature[node]), _child(tree, row, node)
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        cold = right if hot == left else left
        before_absent, before_known = 1.0, 1.0
        for index in range(1, len(path)):
            if path[index][0] == split:
                before_absent, before_known = path[index][1], path[index][2]
                path = _unwind(path, index)
                break
        for child, is_hot in ((hot, 1.0), (cold, 0.0)):
            fraction = _cover(tree, child) / _cover(tree, node)
            visit(child, path, before_absent * fraction, before_known * is_hot, split)

    visit(0, [], 1.0, 1.0, -1)
    return values


def _extend(path: Path, absent: float, known: float, feature: int) -> Path:
    path = [entry.copy() for entry in path]
    length = len(path)
    path.append([feature, absent, known, 1.0 if length == 0 else 0.0])
    for index in range(length - 1, -1, -1):
        path[index + 1][3] += known * path[index][3] * (index + 1) / (length + 1)
        path[index][3] = absent * path[index][3] * (length - index) / (length + 1)
    return path


def _unwind(path: Path, removed: int) -> Path:
    last = len(path) - 1
    absent, known = path[removed][1], path[removed][2]
    path = [entry.copy() for entry in path]
    following = path[last][3]
    for index in range(last - 1, -1, -1):
        if known:
            current = path[index][3]
            path[index][3] = following * (last + 1) / ((index + 1) * known)
            following = current - path[index][3] * absent * (last - index) / (last + 1)
        else:
            path[index][3] = path[index][3] * (last + 1) / (absent * (last - index))
    for index in range(removed, last):
        path[index][:3] = path[index + 1][:3]
    return path[:last]


def _child(tree: Any, row: NDArray[np.float32], node: int) -> int:
    value = row[int(tree.feature[node])]
    goes_left = bool(tree.missing_go_to_left[node]) if np.isnan(value) else value <= tree.threshold[node]
    return int(tree.children_left[node] if goes_left else tree.children_right[node])


def _cover(tree: Any, node: int) -> float:
    return float(tree.weighted_n_node_samples[node])
