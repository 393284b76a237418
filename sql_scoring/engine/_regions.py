"""Dividing the inputs into regions before any mask is read.

Where ``x <= cut`` is known, the leaves beyond the cut need no bits, and the thresholds beyond it no masks. One
comparison costs little, and both sides are shorter in both directions. The masks of both together are hardly
longer than before, and with large forests shorter.

The next split is the one after which the fewest leaves are left, by the fractions of the training rows.
A missing value fails every comparison, so it belongs to the upper side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._trees import Interval, Leaf

Trees = list[list[Leaf]]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RegionSplit:
    """Whether ``feature <= cut``, which is true of ``fraction`` of the region's rows."""

    feature: int
    cut: float
    fraction: float


def best_region_split(trees: Trees) -> RegionSplit | None:
    """The split that leaves the fewest leaves; None where none takes any away."""
    flat = [leaf for tree in trees for leaf in tree]
    weights = np.array([leaf.fraction for leaf in flat])
    rows = {feature: row for row, feature in enumerate(sorted({f for leaf in flat for f in leaf.box}))}
    lows = np.full((len(rows), len(flat)), -np.inf)
    highs = np.full((len(rows), len(flat)), np.inf)
    missings = np.full((len(rows), len(flat)), True)
    for number, leaf in enumerate(flat):
        for feature, box in leaf.box.items():
            row = rows[feature]
            lows[row, number], highs[row, number], missings[row, number] = box.low, box.high, box.missing
    best, fewest = None, float(len(flat))
    for feature, row in rows.items():
        low, high, missing = lows[row], highs[row], missings[row]
        only_missing = low >= high
        low[only_missing], high[only_missing] = np.inf, -np.inf
        cuts = np.unique(np.concatenate([low, high]))
        cuts = cuts[np.isfinite(cuts)]
        # The leaves that lie entirely on one side of a cut estimate how many rows do.
        below = _weight(high, weights, cuts, side="right")
        above = weights.sum() - _weight(low, weights, cuts, side="left")
        fraction = np.clip(below / np.maximum(below + above, np.finfo(float).tiny), 0.01, 0.99)
        ones = np.ones(len(flat))
        left = fraction * _weight(low, ones, cuts, side="left")
        left += (1 - fraction) * (len(flat) - _weight(high, ones * ~missing, cuts, side="right"))
        if len(cuts) and left.min() < fewest:
            index = int(left.argmin())
            best = RegionSplit(feature, float(cuts[index]), float(fraction[index]))
            fewest = float(left.min())
    return best


def _weight(values: _Floats, weights: _Floats, cuts: _Floats, *, side: str) -> _Floats:
    """For each cut the weight of the values ``<`` it (side ``left``) or ``<=`` it (side ``right``)."""
    order = values.argsort(kind="stable")
    counts = np.searchsorted(values[order], cuts, side="left" if side == "left" else "right")
    return np.append(0.0, weights[order].cumsum())[counts]


def restrict_leaves(trees: Trees, split: RegionSplit, *, low: bool) -> Trees:
    """The leaves that rows on one side of the split can reach, without conditions that the split implies."""

    def restricted(leaf: Leaf) -> Leaf | None:
        before = leaf.box.get(split.feature, Interval())
        after, other = _at_most(before, split.cut), _above_or_missing(before, split.cut)
        fraction = leaf.fraction
        if after and other:  # it has its rows on both sides
            fraction *= split.fraction if low else 1 - split.fraction
        after = after if low else other
        if after is None:
            return None
        box = {**leaf.box, split.feature: after}
        if after == Interval():
            del box[split.feature]
        return Leaf(leaf.value, box, fraction)

    return [[part for part in map(restricted, tree) if part] for tree in trees]


def _at_most(box: Interval, cut: float) -> Interval | None:
    """The condition that remains where ``x <= cut`` is known; None where the leaf cannot be reached."""
    # Nothing is missing here, so that a missing value may pass is no condition.
    below = [(low, np.inf if high >= cut else high) for low, high in box.pieces if low < cut]
    return Interval.of(tuple(below), missing=True) if below else None


def _above_or_missing(box: Interval, cut: float) -> Interval | None:
    """The condition that remains where ``x > cut`` or ``x`` is missing; None where the leaf cannot be reached."""
    above = [(-np.inf if low <= cut else low, high) for low, high in box.pieces if high > cut]
    if not above:
        return Interval(cut, cut) if box.missing else None
    return Interval.of(tuple(above), missing=box.missing)
