"""Groups of neighboring leaves that are looked up together.

The contributions of a group depend on the row through the group's state: for each feature, which of the conditions
hold. One lookup per group replaces one per leaf; the price is a table row for each state. A tree is divided into runs
of neighboring leaves, which share most of their paths, at the least cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sql_scoring.explain._leaves import Condition, PathLeaf

STATE_BITS = 16  # of a group's state within the bit string; the state numbers of a group stay below 2^16
ROWS_PER_LOOKUP = 200  # how many states one lookup fewer is worth
MAX_STATES = 4_096  # of a group of several leaves


def group_leaves(leaves: Sequence[PathLeaf], last_ranks: Sequence[int]) -> tuple[list[int], int]:
    """Divide the leaves of one tree into runs.

    Args:
        leaves: Leaves of one tree, left to right.
        last_ranks: The greatest rank of each feature.

    Returns:
        The group of each leaf, from 0, and the number of states of all groups together.
    """
    best: list[tuple[int, int, int]] = [
        (0, 0, 0)
    ]  # least cost up to a leaf, where its last run starts, states
    for end in range(1, len(leaves) + 1):
        choices = []
        # A longer run has no fewer states: the first that is too long ends the search.
        for start in range(end - 1, -1, -1):
            states, bits = _count_states(leaves[start:end], last_ranks)
            if end - start > 1 and (states > MAX_STATES or bits > STATE_BITS):
                break
            choices.append((best[start][0] + states + ROWS_PER_LOOKUP, start, states))
        best.append(min(choices))
    starts, total, end = [], 0, len(leaves)
    while end:
        _, start, states = best[end]
        starts.append(start)
        total, end = total + states, start
    groups, number = [], -1
    for position in range(len(leaves)):
        number += position in starts
        groups.append(number)
    return groups, total


def _count_states(leaves: Sequence[PathLeaf], last_ranks: Sequence[int]) -> tuple[int, int]:
    """How many states a run has, and the bits of their numbers."""
    by_feature: dict[int, list[Condition]] = {}
    for leaf in leaves:
        for condition in leaf.conditions:
            by_feature.setdefault(condition.feature, []).append(condition)
    states, bits = 1, 0
    for feature, conditions in by_feature.items():
        # The pattern changes only where a range starts or has ended.
        ranges = [bounds for condition in conditions for bounds in condition.ranges]
        starts = {0, *(low for low, _ in ranges), *(high + 1 for _, high in ranges)}
        patterns = {
            tuple(any(low <= rank <= high for low, high in condition.ranges) for condition in conditions)
            for rank in starts
            if rank <= last_ranks[feature]
        }
        patterns.add(tuple(condition.missing for condition in conditions))
        states *= len(patterns)
        bits += math.ceil(math.log2(len(patterns)))
    return states, bits
