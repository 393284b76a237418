"""How the trees of a model share masks: the plan with the lowest cost in time and memory.

Masks grow with leaves times distinct thresholds. Two ways divide them:

* *groups* of trees with separate thresholds. Each is one more set of expressions, which a fresh transaction
  has to build again, so a group is expensive in time.
* *blocks* within a group, as in block-wise QuickScorer, each with the rows of its thresholds. A feature's mask
  is concatenated from one row of every block: a table leads from the group's rank to the block's row. A further
  block is one more lookup and copy for each feature, and tables grow with blocks times thresholds.

Within a group the features are divided into lanes (see ``_lanes``), and the leaves into slots (see ``_slots``).

The cost of a plan is its predicted time for one call in a fresh transaction, plus ``memory_weight``
microseconds for each megabyte of a backend's memory. The time is computed in thousands of instructions, which
callgrind counts exactly (``benchmarks/inserts/instructions.py``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._lanes import LanePlan, split_into_lanes
from sql_scoring.engine._masks import cuts_by_feature
from sql_scoring.engine._slots import SlotFormat, TreeBits, choose_format
from sql_scoring.engine._trees import Leaf
from sql_scoring.engine.errors import UnsupportedModelError

# Thousands of instructions.
_PER_GROUP = 1.0
_PER_LOOP = 1.5
_PER_LANE = 10.7  # build rank, row and AND
_PER_LOOKUP = 1.4  # rank, row and AND of a feature with expressions already built, bytes apart
_PER_LANE_ITERATION = 0.8
_PER_COLUMN = 4.0  # of several blocks the rank goes to a variable first
_PER_COLUMN_LOOKUP = 0.46
_PER_BLOCK = 4.1  # build the expressions that look one block's row up and join it
_PER_BLOCK_LOOKUP = 0.58
_PER_MASK_BYTE = 0.0113  # copy and AND
_PER_TERM = 6.5  # build the expressions that look up one slot
_PER_TERM_PART = 1.5  # and read one part of it
_PER_SLOT = 0.22
_PER_SLOT_PART = 0.65
_PER_SLOT_ITERATION = 0.3
MICROSECONDS_PER_THOUSAND = 0.0535
_MICROSECONDS_PER_CALL = 3.0
# A lookup reaches into tables and masks that grow with the model's thresholds and leave the processor's caches.
_MICROSECONDS_PER_LOOKUP_AND_THRESHOLD = 0.0131e-3
_THRESHOLDS_OUT_OF_CACHE = 10_000
# With few trees more than four groups never lowered the cost.
_FEW_TREES = 128
_GROUPS_OF_FEW_TREES = 3
# PL/pgSQL and the plan cache keep five copies of the text, one more of base64 text, and the constants.
MEMORY_PER_TEXT_BYTE = 7.1
_TEXT_PER_MASK_BYTE = 4 / 3
_TEXT_PER_START = 8
_TEXT_PER_COLUMN = 5
_TEXT_PER_THRESHOLD = 19
_TEXT_PER_LEAF = 20
_TEXT_PER_FEATURE = 400


@dataclass(frozen=True)
class GroupPlan:
    """``runs``: first tree and end of each block; ``unroll``: slots read in one iteration of the loop."""

    runs: list[tuple[int, int]]
    slot_format: SlotFormat
    unroll: int
    lanes: LanePlan


@dataclass(frozen=True)
class Plan:
    """A whole model's groups with the predicted time of one call and size of the text."""

    groups: list[GroupPlan]
    microseconds: float
    text_bytes: int

    def cost(self, memory_weight: float) -> float:
        """Microseconds, those that the memory is worth included."""
        return self.microseconds + memory_cost(self.text_bytes, memory_weight)


def memory_cost(text_bytes: float, memory_weight: float) -> float:
    """Microseconds that the memory of ``text_bytes`` of text is worth."""
    return memory_weight * text_bytes * MEMORY_PER_TEXT_BYTE / 1e6


def plan_groups(
    trees: list[list[Leaf]],
    *,
    text_budget: int,
    memory_weight: float,
    skip_zero_leaves: bool,
    thresholds: int | None = None,
) -> Plan:
    """The cheapest plan without regions that fits ``text_budget`` bytes; raises UnsupportedModelError.

    ``thresholds``: distinct thresholds of the whole model, if these trees are a part of it.
    """
    planner = _Planner(trees, skip_zero_leaves, memory_weight)
    planner.thresholds = planner.count_thresholds() if thresholds is None else thresholds
    counts = [2**power for power in range(len(trees).bit_length())]
    if counts[-1] != len(trees):
        counts.append(len(trees))
    plans = [
        planner.plan(groups, blocks)
        for groups in (counts if len(trees) > _FEW_TREES else counts[:_GROUPS_OF_FEW_TREES])
        for blocks in counts
        if groups * blocks <= len(trees)
    ]
    fitting = [plan for plan in plans if plan.text_bytes <= text_budget]
    if not fitting:
        smallest = min(plan.text_bytes for plan in plans)
        raise UnsupportedModelError(
            f"the bitmask layout of this model takes about {smallest:,} bytes of text, the budget is "
            f"{text_budget:,}: fit it with a smaller max_depth or max_leaf_nodes or fewer trees, raise "
            "size_budget_bytes, or use layout='case'"
        )
    return min(fitting, key=lambda plan: plan.cost(memory_weight))


class _Planner:
    """Predicts plans; caches its counts per part of the trees."""

    def __init__(self, trees: list[list[Leaf]], skip_zero_leaves: bool, memory_weight: float) -> None:
        self._trees = trees
        self._memory_weight = memory_weight
        self._leaves = [TreeBits.of(tree, skip_zero_leaves=skip_zero_leaves) for tree in trees]
        self._cuts: list[dict[int, npt.NDArray[np.float64]]] = [
            {feature: np.array(cuts) for feature, cuts in cuts_by_feature([tree]).items()} for tree in trees
        ]
        self._ranks: dict[tuple[int, int], dict[int, int]] = {}
        self.thresholds = 0

    def count_thresholds(self) -> int:
        """The distinct thresholds of all trees and features."""
        return sum(self.ranks(0, len(self._trees)).values())

    def ranks(self, first: int, end: int) -> dict[int, int]:
        """Ranks (missing included) of each feature used by the trees from ``first`` to before ``end``."""
        key = (first, end)
        if key not in self._ranks:
            joined: dict[int, list[npt.NDArray[np.float64]]] = {}
            for cuts in self._cuts[first:end]:
                for feature, values in cuts.items():
                    joined.setdefault(feature, []).append(values)
            self._ranks[key] = {
                feature: len(np.unique(np.concatenate(values))) + 2 for feature, values in joined.items()
            }
        return self._ranks[key]

    def plan(self, groups: int, blocks: int) -> Plan:
        """The plan with ``groups`` groups of ``blocks`` blocks each, all of the same number of trees."""
        bounds = [len(self._trees) * number // (groups * blocks) for number in range(groups * blocks + 1)]
        plans: list[GroupPlan] = []
        thousands, text = 0.0, 0.0
        for number in range(groups):
            part = bounds[number * blocks : (number + 1) * blocks + 1]
            runs = list(itertools.pairwise(part))
            ranks = self.ranks(part[0], part[-1])
            per_bit = len(ranks) * _PER_MASK_BYTE / 8
            slot_format = choose_format(
                self._leaves[part[0] : part[-1]], partial(_slots_cost, per_bit=per_bit)
            )
            slots = sum(map(slot_format.slots_for, self._leaves[part[0] : part[-1]]))
            sum_thousands, unroll = _sum_cost(slot_format, slots)
            mask = (-(-slots // unroll) * unroll) * slot_format.stride // 8
            lanes = min(
                lane_plans(len(ranks)),
                key=lambda plan: self._cost(*self._lanes_cost(plan, ranks, mask, blocks)),
            )
            lanes_thousands, lanes_text = self._lanes_cost(lanes, ranks, mask, blocks)
            plans.append(GroupPlan(runs, slot_format, unroll, lanes))
            thousands += _PER_GROUP + sum_thousands + lanes_thousands
            text += lanes_text
            for first, end in runs:
                width = sum(map(slot_format.slots_for, self._leaves[first:end])) * slot_format.stride // 8
                text += _TEXT_PER_MASK_BYTE * width * sum(self.ranks(first, end).values())
        text += _TEXT_PER_LEAF * sum(map(len, self._trees)) + 2 * sum(
            group.slot_format.stride for group in plans
        )
        microseconds = _MICROSECONDS_PER_CALL + thousands * MICROSECONDS_PER_THOUSAND
        return Plan(plans, microseconds, int(text))

    def _cost(self, thousands: float, text: float) -> float:
        return thousands * MICROSECONDS_PER_THOUSAND + memory_cost(text, self._memory_weight)

    def _lanes_cost(
        self, plan: LanePlan, ranks: dict[int, int], mask: int, blocks: int
    ) -> tuple[float, float]:
        """Thousands of instructions and bytes of text for looking up and ANDing the masks of all features."""
        head, lanes = split_into_lanes(list(ranks), plan)
        iterations = len(lanes[0]) if lanes else 0
        lookups = len(head) + iterations * len(lanes)
        per_lane, per_lookup = _PER_LANE, _PER_LOOKUP
        if blocks > 1:
            per_lane += _PER_COLUMN + (blocks - 1) * _PER_BLOCK
            per_lookup += _PER_COLUMN_LOOKUP + (blocks - 1) * _PER_BLOCK_LOOKUP
        reached = min(self.thresholds, _THRESHOLDS_OUT_OF_CACHE) * _MICROSECONDS_PER_LOOKUP_AND_THRESHOLD
        thousands = (len(head) + len(lanes)) * per_lane + (_PER_LOOP if iterations > 1 else 0)
        thousands += lookups * (per_lookup + reached / MICROSECONDS_PER_THOUSAND)
        thousands += iterations * _PER_LANE_ITERATION
        thousands += (lookups - len(head)) * mask * _PER_MASK_BYTE
        text = 0.0
        for lane in (head, *lanes):
            thresholds = sum(ranks[feature] for feature in lane)
            text += _TEXT_PER_FEATURE + thresholds * _TEXT_PER_THRESHOLD
            columns = (iterations if lane is not head else 1) * thresholds
            # With several blocks the table of columns leads to one of starts, else it holds the starts themselves.
            text += columns * (_TEXT_PER_COLUMN if blocks > 1 else _TEXT_PER_START)
            text += blocks * thresholds * _TEXT_PER_START if blocks > 1 else 0
        return thousands, text


def lane_plans(features: int) -> list[LanePlan]:
    """The divisions into lanes to compare; without features there is one that does nothing."""
    if features == 0:
        return [LanePlan(1, head=False)]
    return [
        LanePlan(lanes, head)
        for head in (False, True)
        for lanes in sorted({1, 2, 3, 4, 6, 8, features - head})
        if 1 <= lanes <= max(1, features - head)
    ]


def _slots_cost(slot_format: SlotFormat, slots: int, *, per_bit: float) -> float:
    """Thousands of instructions for ``slots`` slots, those of their bits in the ANDs included."""
    return _sum_cost(slot_format, slots)[0] + slots * slot_format.stride * per_bit


def _sum_cost(slot_format: SlotFormat, slots: int) -> tuple[float, int]:
    """Thousands of instructions for adding the values of all slots, and how many one iteration reads.

    More slots per iteration are fewer iterations and larger expressions to build.
    """
    slot = _PER_SLOT + slot_format.parts * _PER_SLOT_PART
    term = _PER_TERM + slot_format.parts * _PER_TERM_PART

    def cost(unroll: int) -> float:
        iterations = -(-slots // unroll)
        return _PER_LOOP + iterations * (_PER_SLOT_ITERATION + unroll * slot) + unroll * term

    best = min((1, 2, 3, 4, 6, 8), key=cost)
    return cost(best), best
