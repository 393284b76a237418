"""How features share expressions: lanes, which a loop looks up one feature per iteration.

A fresh transaction builds the state of every expression again, and for looking up one feature's mask that is
ten times the work of the lookup. So a loop looks features up with the same expression. What differs between
them are tables: the thresholds of a lane's features are merged into one array. A second table leads from the
feature and the rank among all of them to the feature's rank, that is to its mask.

The table has features times thresholds entries. Several lanes, each with a part of the features and a separate
expression in the same iteration, make it smaller and the iterations fewer, and expressions more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._masks import FeatureMasks


@dataclass(frozen=True)
class LanePlan:
    """``lanes``: features looked up per iteration; ``head``: the first feature is looked up before the loop.

    Without a head the mask starts with all bits set, for one AND more.
    """

    lanes: int
    head: bool


@dataclass(frozen=True)
class Lane:
    """Features that one expression looks up, one per iteration.

    Attributes:
        features: One per iteration. A lane shorter than the loop gets iterations that keep every bit.
        thresholds: Of all its features, ascending, NaN last.
        columns: int64 of shape (iterations, ranks); the column of ``starts`` for an iteration's feature and rank.
        rows: For each block uint8 of shape (rows, the block's mask bytes).
        starts: int64 of shape (blocks, columns); the first bit (from 1) of a mask among the block's.
    """

    features: tuple[int, ...]
    thresholds: list[float]
    columns: npt.NDArray[np.int64]
    rows: list[npt.NDArray[np.uint8]]
    starts: npt.NDArray[np.int64]

    @property
    def iterations(self) -> int:
        """Iterations of the loop."""
        return len(self.columns)


def split_into_lanes(features: Sequence[int], plan: LanePlan) -> tuple[list[int], list[list[int]]]:
    """The head's feature, if the plan has a head, and each lane's features."""
    head, rest = (list(features[:1]), features[1:]) if plan.head else ([], features)
    iterations = -(-len(rest) // plan.lanes) if rest else 1
    return head, [list(rest[first : first + iterations]) for first in range(0, len(rest), iterations)]


def build_lanes(tables: list[FeatureMasks], plan: LanePlan) -> tuple[Lane | None, list[Lane]]:
    """The head and the lanes of a group's features; all lanes have the same number of iterations."""
    by_feature = {table.feature: table for table in tables}
    head, lanes = split_into_lanes(list(by_feature), plan)
    iterations = len(lanes[0]) if lanes else 0
    return (
        _lane([by_feature[feature] for feature in head], 1) if head else None,
        [_lane([by_feature[feature] for feature in lane], iterations) for lane in lanes],
    )


def _lane(tables: list[FeatureMasks], iterations: int) -> Lane:
    cuts = np.unique(np.concatenate([table.thresholds[:-1] for table in tables]))
    columns, starts, first_column = [], [], 0
    # Per block: the rows of one feature after the other, and the first bit after them.
    rows = [[table.rows[block] for table in tables] for block in range(len(tables[0].rows))]
    first_bits = np.zeros((len(rows), 1), dtype=np.int64)
    for table in tables:
        own = np.array(table.thresholds[:-1])
        ranks = [*np.searchsorted(own, [-np.inf, *cuts], side="right").tolist(), len(own) + 1]
        columns.append([first_column + rank for rank in ranks])
        starts.append(table.starts + first_bits)
        first_column += len(own) + 2
        first_bits = first_bits + np.array([[block.size * 8] for block in table.rows])
    if iterations > len(tables):
        columns += [[first_column] * (len(cuts) + 2)] * (iterations - len(tables))
        starts.append(first_bits + 1)
        for block in rows:
            block.append(np.full((1, block[0].shape[1]), 255, dtype=np.uint8))
    return Lane(
        tuple(table.feature for table in tables),
        [*cuts.tolist(), float("nan")],
        np.array(columns, dtype=np.int64),
        [np.concatenate(block) for block in rows],
        np.concatenate(starts, axis=1),
    )
