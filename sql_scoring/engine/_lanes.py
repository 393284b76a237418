"""How features share expressions: lanes, which a loop takes one feature after the other.

A fresh transaction builds the state of every expression again, and for looking up one feature's mask that is ten
times the work of the look-up. So a loop looks features up with the same expression. What differs between them
are tables: the thresholds of a lane's features are merged into one array, and a table leads from the feature and
the rank among all of them to the feature's own rank, that is to its mask.

The table has features times thresholds entries. Several lanes, each with a share of the features and an
expression of its own in the same turn of the loop, make it smaller and the turns fewer, and expressions more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._masks import FeatureMasks


@dataclass(frozen=True)
class LanePlan:
    """``lanes``: features looked up in one turn; ``head``: the first feature is looked up before the loop.

    Without a head the mask starts with all bits set, for one AND more.
    """

    lanes: int
    head: bool


@dataclass(frozen=True)
class Lane:
    """Features that one expression looks up, turn by turn.

    ``thresholds``: ascending, of all features, NaN last. ``columns``: int64 of shape (turns, ranks), which column
    of ``starts`` a turn's feature and rank lead to. ``rows``: for each block uint8 of shape (rows, the block's mask
    bytes). ``starts``: int64 of shape (blocks, columns), the first bit (from 1) of a mask among the block's. A lane
    shorter than the loop gets turns in which every bit stays.
    """

    features: tuple[int, ...]
    thresholds: list[float]
    columns: npt.NDArray[np.int64]
    rows: list[npt.NDArray[np.uint8]]
    starts: npt.NDArray[np.int64]

    @property
    def turns(self) -> int:
        """Turns of the loop."""
        return len(self.columns)


def shares(features: Sequence[int], plan: LanePlan) -> tuple[list[int], list[list[int]]]:
    """The head's feature, if there is one, and each lane's features."""
    head, rest = (list(features[:1]), features[1:]) if plan.head else ([], features)
    turns = -(-len(rest) // plan.lanes) if rest else 1
    return head, [list(rest[first : first + turns]) for first in range(0, len(rest), turns)]


def build_lanes(tables: list[FeatureMasks], plan: LanePlan) -> tuple[Lane | None, list[Lane]]:
    """The head and the lanes of a group's features; lanes have the same number of turns."""
    by_feature = {table.feature: table for table in tables}
    head, lanes = shares(list(by_feature), plan)
    turns = len(lanes[0]) if lanes else 0
    return (
        _lane([by_feature[feature] for feature in head], 1) if head else None,
        [_lane([by_feature[feature] for feature in lane], turns) for lane in lanes],
    )


def _lane(tables: list[FeatureMasks], turns: int) -> Lane:
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
    if turns > len(tables):
        columns += [[first_column] * (len(cuts) + 2)] * (turns - len(tables))
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
