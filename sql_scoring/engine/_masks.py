"""Interval bitmasks: for every feature and every rank of its value, the leaves that are still possible.

This is the bitvector traversal of QuickScorer (Lucchese et al., SIGIR 2015), with one mask per rank instead of
one per false node. A leaf is reached exactly when every feature lies in the leaf's interval, so the AND over
the features of their masks leaves one exit leaf per tree. ``width_bucket`` returns the rank: the number of cuts
below the value; a missing value is one more rank. All masks of a feature are in one bit string, each padded to
whole bytes, so that taking one is an aligned ``substring``, a memory copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._cuts import next_float
from sql_scoring.engine._slots import SlotFormat, assign_slots, empty_slots
from sql_scoring.engine._trees import Leaf


@dataclass(frozen=True)
class FeatureMasks:
    """One feature's masks in a group.

    Attributes:
        feature: Its number, from 0.
        thresholds: Ascending float64; ``width_bucket`` counts those ``<=`` the value. NaN is last, so that a
            missing value gets the last rank.
        rows: For each block uint8 of shape (the block's ranks, its mask bytes).
        starts: int64 of shape (blocks, ranks); the first bit (from 1) of a rank's row among the block's.
    """

    feature: int
    thresholds: list[float]
    rows: list[npt.NDArray[np.uint8]]
    starts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Trees that share thresholds. ``widths``: mask bits of each block. ``values``: ``reach`` of each slot."""

    slot_format: SlotFormat
    unroll: int
    widths: list[int]
    values: npt.NDArray[np.float64]
    features: list[FeatureMasks]

    @property
    def width(self) -> int:
        """Bits in one mask."""
        return sum(self.widths)


def cuts_by_feature(trees: list[list[Leaf]]) -> dict[int, list[float]]:
    """The distinct finite cuts of each feature that is compared at all, ascending."""
    distinct: dict[int, set[float]] = {}
    for tree in trees:
        for leaf in tree:
            for feature, interval in leaf.box.items():
                cuts = distinct.setdefault(feature, set())
                cuts.update(cut for cut in interval.bounds if abs(cut) != np.inf)
    return {feature: sorted(distinct[feature]) for feature in sorted(distinct)}


def build_group(
    blocks: list[list[list[Leaf]]], slot_format: SlotFormat, unroll: int, *, skip_zero_leaves: bool
) -> Group:
    """The masks of a group, from the leaves of the trees of its blocks."""
    assigned = [assign_slots(trees, slot_format, skip_zero_leaves=skip_zero_leaves) for trees in blocks]
    counts = [len(values) // slot_format.reach for _, values in assigned]
    slots = sum(counts)
    padding = empty_slots(slot_format, -slots % unroll)  # the loop over the slots has whole iterations only
    widths = [count * slot_format.stride for count in counts]
    widths[-1] += len(padding) // slot_format.reach * slot_format.stride
    per_block = [cuts_by_feature(trees) for trees in blocks]
    tables = []
    for feature, cuts in cuts_by_feature([tree for trees in blocks for tree in trees]).items():
        rows, starts = [], []
        for trees, (bits, _), block_cuts, width in zip(blocks, assigned, per_block, widths, strict=True):
            own = block_cuts.get(feature, [])
            rows.append(np.packbits(_feature_rows(trees, bits, feature, own, width), axis=1))
            local = [*np.searchsorted(own, [-np.inf, *cuts], side="right").tolist(), len(own) + 1]
            starts.append([rank * width + 1 for rank in local])
        thresholds = [*map(next_float, cuts), float("nan")]
        tables.append(FeatureMasks(feature, thresholds, rows, np.array(starts, dtype=np.int64)))
    values = np.concatenate([*(values for _, values in assigned), padding])
    return Group(slot_format, unroll, widths, values, tables)


def _feature_rows(
    trees: list[list[Leaf]], bits: npt.NDArray[np.int64], feature: int, cuts: list[float], width: int
) -> npt.NDArray[np.uint8]:
    """One byte per bit, of shape (ranks, width): the leaves that are possible for a value of that rank."""
    rank = {cut: number for number, cut in enumerate([-np.inf, *cuts, np.inf], start=-1)}
    missing_row = len(cuts) + 1
    free = np.zeros(width, dtype=np.uint8)
    free[bits[bits >= 0]] = 1
    rows = np.repeat(free[np.newaxis, :], missing_row + 1, axis=0)
    flat = (leaf for tree in trees for leaf in tree)
    for leaf, bit in zip(flat, bits.tolist(), strict=True):
        interval = leaf.box.get(feature)
        if interval is None or bit < 0:
            continue
        rows[: rank[interval.low] + 1, bit] = 0
        rows[rank[interval.high] + 1 : missing_row, bit] = 0
        for low, high in interval.gaps:
            rows[rank[low] + 1 : rank[high] + 1, bit] = 0
        rows[missing_row, bit] = interval.missing
    return rows
