"""The document that the database builds a model's explanation from: JSON, the same text for the same model.

It holds no states: `scoring.build_explanation` computes those. So it is small, travels in the model's revision, and
is stored in the registry next to the function's text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from rowguard.errors import ExplanationError
from sql_scoring.explain._groups import group_leaves
from sql_scoring.explain._leaves import Condition, PathLeaf, PathModel

FORMAT_VERSION = 1
MAX_STATES = 1_000_000  # beyond, tables would cost more than they save: values are computed on each call
MAX_TABLE_CONDITIONS = 14
MAX_CONDITIONS = 64
TOLERANCE = 1e-12  # between base plus contributions and the model's output
USUAL_QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class Background:
    """What a feature that is left out is replaced with.

    Attributes:
        name: Named in every answer: `training rows`, or `passed sample` with its version.
        rows: Shape (rows, features), NaN where missing; None: the training rows along each path.
    """

    name: str
    rows: NDArray[np.float64] | None = None


TRAINING = Background("training rows")


def passed_sample(passed: NDArray[np.float32], size: int = 1_000, seed: int = 0) -> Background:
    """Draw the fixed sample of passed rows that an interventional explanation compares with.

    Args:
        passed: Rows that passed, shape (rows, features), NaN where missing.
        size: Most rows of the sample.
        seed: The same seed and rows give the same sample.

    Returns:
        The sample; its version is a hash of its values.
    """
    chosen = np.sort(np.random.default_rng(seed).choice(len(passed), min(size, len(passed)), replace=False))
    rows = np.ascontiguousarray(passed[chosen], dtype=np.float32)
    digest = hashlib.sha256(np.where(np.isnan(rows), np.float32(-1e38), rows).tobytes()).hexdigest()
    return Background(f"passed sample {digest[:8]} of {len(rows)} rows", rows.astype(np.float64))


def build_document(
    model: PathModel,
    feature_names: Sequence[str],
    passed: NDArray[np.float32],
    reasons: Mapping[str, Any],
    background: Background = TRAINING,
) -> str:
    """Write the document of a model.

    Args:
        model: Its leaves.
        feature_names: One per feature, in model order.
        passed: Rows that passed, shape (rows, features), NaN where missing; they give the usual ranges.
        reasons: Catalogs by language, as `reasons.load_catalogs` returns them.
        background: What a feature that is left out is replaced with.

    Returns:
        JSON text, one line.

    Raises:
        ExplanationError: A path is longer than the exact formula is meant for.
    """
    longest = max((len(leaf.conditions) for leaf in model.leaves), default=0)
    if longest > MAX_CONDITIONS:
        raise ExplanationError(
            f"a path of the model has conditions on {longest} features, more than {MAX_CONDITIONS}; "
            "train with a smaller max_depth or max_leaf_nodes"
        )
    groups, states = _groups(model, longest)
    components = _components(model, background)
    leaves = [
        {
            "group": group,
            "value": leaf.value,
            "features": [condition.feature + 1 for condition in leaf.conditions],
            "ranks": [_multirange(condition) for condition in leaf.conditions],
            "components": parts,
        }
        for leaf, group, parts in zip(model.leaves, groups, components, strict=True)
    ]
    document = {
        "format": FORMAT_VERSION,
        "output": model.output,
        "tolerance": TOLERANCE + model.rounding,
        "steps": model.steps and [model.steps.bounds, model.steps.values],
        "background": background.name,
        "base_value": math.fsum(
            (
                model.start,
                *(
                    leaf.value * fraction * math.prod(weights)
                    for leaf, parts in zip(model.leaves, components, strict=True)
                    for fraction, weights in parts
                ),
            )
        ),
        "states": states,
        "features": _features(model, feature_names, passed),
        "nodes": _nodes({len(leaf.conditions) for leaf in model.leaves}),
        "leaves": leaves,
        "catalogs": reasons,
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def _groups(model: PathModel, longest: int) -> tuple[list[int | None], int | None]:
    """The group of each leaf; None for all of them when the tables would be too large."""
    if longest > MAX_TABLE_CONDITIONS:
        return [None] * len(model.leaves), None
    groups: list[int | None] = []
    last_ranks = [len(cuts) for cuts in model.cuts]
    first = total = 0
    for _, leaves in groupby(model.leaves, key=lambda leaf: leaf.tree):
        own, states = group_leaves(list(leaves), last_ranks)
        groups += [first + group for group in own]
        first, total = first + own[-1] + 1, total + states
        if total > MAX_STATES:
            return [None] * len(model.leaves), None
    return groups, total


def _components(model: PathModel, background: Background) -> list[list[tuple[float, list[float]]]]:
    """For each leaf the weights of its conditions: one set along the path, or one per pattern of the sample."""
    if background.rows is None:
        return [[(1.0, [condition.weight for condition in leaf.conditions])] for leaf in model.leaves]
    ranks = model.ranks(background.rows)
    return [_patterns(leaf, ranks) for leaf in model.leaves]


def _patterns(leaf: PathLeaf, ranks: NDArray[np.int64]) -> list[tuple[float, list[float]]]:
    if not leaf.conditions:
        return [(1.0, [])]
    holds = np.stack([condition.holds(ranks[:, condition.feature]) for condition in leaf.conditions], axis=1)
    patterns, counts = np.unique(holds, axis=0, return_counts=True)
    return [
        (count / len(ranks), [float(weight) for weight in pattern])
        for pattern, count in zip(patterns.tolist(), counts.tolist(), strict=True)
    ]


def _multirange(condition: Condition) -> str:
    """The ranks that pass as PostgreSQL's int4multirange; rank -1 is a missing value."""
    parts = ["[-1,0)"] if condition.missing else []
    parts += [f"[{low},{high + 1})" for low, high in condition.ranges]
    return "{" + ",".join(parts) + "}"


def _features(
    model: PathModel, feature_names: Sequence[str], passed: NDArray[np.float32]
) -> list[dict[str, Any]]:
    features = []
    uses = Counter(condition.feature for leaf in model.leaves for condition in leaf.conditions)
    by_use = sorted(range(len(feature_names)), key=lambda number: (-uses[number], number))
    for number, (name, cuts, column) in enumerate(zip(feature_names, model.cuts, passed.T, strict=True)):
        low, high = _usual_range(column[~np.isnan(column)].astype(np.float64))
        # The nearest single-precision numbers on both sides of each cut: how far a value must move to cross it.
        below, above = _around(np.array(cuts))
        features.append(
            {
                "name": name,
                "slot": by_use.index(number),
                "cuts": [math.nextafter(cut, math.inf) for cut in cuts],
                "below": below,
                "above": above,
                "usual_low": low,
                "usual_high": high,
            }
        )
    return features


def _usual_range(known: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not len(known):
        return None, None
    values, counts = np.unique(known, return_counts=True)
    if len(values) <= 2:  # a yes or no: the rarer one is unusual, however often it occurs
        common = float(values[np.argmax(counts)])
        return common, common
    low, high = np.quantile(known, USUAL_QUANTILES).tolist()
    return low, high


def _around(cuts: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    with np.errstate(over="ignore", under="ignore"):
        below = cuts.astype(np.float32)
        below = np.where(below.astype(np.float64) > cuts, np.nextafter(below, np.float32(-np.inf)), below)
        above = np.nextafter(below, np.float32(np.inf))
    largest = np.finfo(np.float32).max
    return np.clip(below, -largest, largest).tolist(), np.clip(above, -largest, largest).tolist()


def _nodes(steps: set[int]) -> dict[str, list[list[float]]]:
    """Gauss-Legendre nodes and weights from 0 to 1, by the number of conditions that they are exact for.

    The integrand of a leaf is a polynomial with one degree less than conditions.
    """
    nodes = {}
    for count in sorted(steps):
        at, weight = leggauss(max(1, math.ceil(count / 2)))
        nodes[str(count)] = [((at + 1) / 2).tolist(), (weight / 2).tolist()]
    return nodes
