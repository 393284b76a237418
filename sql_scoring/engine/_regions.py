"""Dividing the inputs into regions before any mask is looked at.

Where it is known that ``x <= cut``, the leaves that ask for more need no bits, and the thresholds beyond the cut
no masks. One question costs little, and what is left on either side is shorter in both directions: the masks of
both together are hardly longer than before, and with large forests shorter.

The next question is the one after which the fewest leaves are left, by the shares of the training rows.
A missing value fails every comparison, so it belongs to the upper side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._trees import Interval, Leaf

Trees = list[list[Leaf]]


@dataclass(frozen=True)
class Question:
    """Whether ``feature <= cut``, which is true of ``share`` of the rows that it is asked of."""

    feature: int
    cut: float
    share: float


def best_question(trees: Trees) -> Question | None:
    """The question that leaves the fewest leaves; None where none takes any away."""
    flat = [leaf for tree in trees for leaf in tree]
    weights = np.array([leaf.share for leaf in flat])
    rows = {feature: row for row, feature in enumerate(sorted({f for leaf in flat for f in leaf.box}))}
    lows = np.full((len(rows), len(flat)), -np.inf)
    highs = np.full((len(rows), len(flat)), np.inf)
    missings = np.full((len(rows), len(flat)), True)
    for number, leaf in enumerate(flat):
        for feature, box in leaf.box.items():
            row = rows[feature]
            if box.low is not None:
                lows[row, number] = box.low
            if box.high is not None:
                highs[row, number] = box.high
            missings[row, number] = box.missing
    best, fewest = None, float(len(flat))
    for feature, row in rows.items():
        low, high, missing = lows[row], highs[row], missings[row]
        only_missing = low >= high
        low[only_missing], high[only_missing] = np.inf, -np.inf
        cuts = np.unique(np.concatenate([low, high]))
        cuts = cuts[np.isfinite(cuts)]
        # Leaves that lie on one side of a cut tell how many rows do.
        below, above = _weight_up_to(high, weights, cuts), weights.sum() - _weight_below(low, weights, cuts)
        share = np.clip(below / np.maximum(below + above, np.finfo(float).tiny), 0.01, 0.99)
        ones = np.ones(len(flat))
        left = share * _weight_below(low, ones, cuts)
        left += (1 - share) * (len(flat) - _weight_up_to(high, ones * ~missing, cuts))
        if len(cuts) and left.min() < fewest:
            place = int(left.argmin())
            best, fewest = Question(feature, float(cuts[place]), float(share[place])), float(left.min())
    return best


def _weight_up_to(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], cuts: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """For each cut the weight of the values ``<=`` it."""
    order = values.argsort(kind="stable")
    return np.append(0.0, weights[order].cumsum())[np.searchsorted(values[order], cuts, side="right")]


def _weight_below(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], cuts: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """For each cut the weight of the values ``<`` it."""
    order = values.argsort(kind="stable")
    return np.append(0.0, weights[order].cumsum())[np.searchsorted(values[order], cuts, side="left")]


def answered(trees: Trees, question: Question, *, low: bool) -> Trees:
    """The leaves that rows with this answer can reach, with nothing in their boxes that the answer tells."""
    narrow = _at_most if low else _above_or_missing
    found: Trees = []
    for tree in trees:
        kept = []
        for leaf in tree:
            before = leaf.box.get(question.feature, Interval())
            after = narrow(before, question.cut)
            if after is None:
                continue
            box = {**leaf.box, question.feature: after}
            if after == Interval():
                del box[question.feature]
            # A leaf on both sides has its rows on both.
            split = _at_most(before, question.cut) and _above_or_missing(before, question.cut)
            part = (question.share if low else 1 - question.share) if split else 1.0
            kept.append(Leaf(leaf.value, box, leaf.share * part))
        found.append(kept)
    return found


def _at_most(box: Interval, cut: float) -> Interval | None:
    """What a leaf still asks where ``x <= cut`` is known; None where it cannot be reached."""
    low = -np.inf if box.low is None else box.low
    high = np.inf if box.high is None else box.high
    if low >= min(high, cut):
        return None
    # Nothing is missing here: that a missing value may pass asks nothing.
    return Interval(box.low, None if high >= cut else box.high, missing=True)


def _above_or_missing(box: Interval, cut: float) -> Interval | None:
    """What a leaf still asks where ``x > cut`` or ``x`` is missing; None where it cannot be reached."""
    low = -np.inf if box.low is None else box.low
    high = np.inf if box.high is None else box.high
    if max(low, cut) >= high:
        return Interval(cut, cut) if box.missing else None
    return Interval(None if low <= cut else box.low, box.high, box.missing)
