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
from functools import cache

from sql_scoring.engine._lanes import LanePlan, split_into_lanes
from sql_scoring.engine._masks import cuts_by_feature
from sql_scoring.engine._regions import RegionSplit, Trees
from sql_scoring.engine._slots import FORMATS, SlotFormat, TreeBits
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
    """How trees are looked up: in groups, or after a split by the plans of two halves.

    Attributes:
        trees: The leaves of each tree.
        groups: Of the trees, without the split.
        microseconds: Predicted time of one call, weighted by the fractions of the training rows.
        worst_microseconds: Predicted time of a call that falls into the slowest part.
        text_bytes: Predicted size of the text.
        split: Where the trees are divided, if they are.
        halves: The plans where the split holds and where it does not.
    """

    trees: Trees
    groups: list[GroupPlan]
    microseconds: float
    worst_microseconds: float
    text_bytes: int
    split: RegionSplit | None = None
    halves: tuple[Plan, ...] = ()

    def regions(self) -> list[Plan]:
        """The parts that are not divided further."""
        return [region for half in self.halves for region in half.regions()] or [self]

    def cost(self, memory_weight: float) -> float:
        """Microseconds, those that the memory is worth included."""
        return self.microseconds + memory_cost(self.text_bytes, memory_weight)


def memory_cost(text_bytes: float, memory_weight: float) -> float:
    """Microseconds that the memory of ``text_bytes`` of text is worth."""
    return memory_weight * text_bytes * MEMORY_PER_TEXT_BYTE / 1e6


def plan_groups(
    trees: Trees,
    *,
    text_budget: int,
    memory_weight: float,
    skip_zero_leaves: bool,
    thresholds: int,
    formats: tuple[SlotFormat, ...] = FORMATS,
) -> Plan:
    """The cheapest plan without a split that fits ``text_budget`` bytes; raises UnsupportedModelError.

    ``thresholds``: distinct thresholds of the whole model, of which these trees may be a part. ``formats``: of slots,
    of which the cheapest is taken.
    """
    planner = _Planner(trees, skip_zero_leaves, memory_weight, thresholds, formats)
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
    """Predicts plans of some trees; caches its counts per part of them."""

    def __init__(
        self,
        trees: Trees,
        skip_zero_leaves: bool,
        memory_weight: float,
        thresholds: int,
        formats: tuple[SlotFormat, ...],
    ) -> None:
        self._trees = trees
        self._formats = formats
        self._memory_weight = memory_weight
        reached = min(thresholds, _THRESHOLDS_OUT_OF_CACHE) * _MICROSECONDS_PER_LOOKUP_AND_THRESHOLD
        self._per_reach = reached / MICROSECONDS_PER_THOUSAND
        self._leaves = [TreeBits.of(tree, skip_zero_leaves=skip_zero_leaves) for tree in trees]
        self._cuts = [cuts_by_feature([tree]) for tree in trees]
        self._ranks = cache(self._count_ranks)

    def _count_ranks(self, first: int, end: int) -> dict[int, int]:
        """Ranks (missing included) of each feature used by the trees from ``first`` to before ``end``."""
        joined: dict[int, list[float]] = {}
        for cuts in self._cuts[first:end]:
            for feature, values in cuts.items():
                joined.setdefault(feature, []).extend(values)
        return {feature: len(set(values)) + 2 for feature, values in joined.items()}

    def plan(self, groups: int, blocks: int) -> Plan:
        """The plan with ``groups`` groups of ``blocks`` blocks each, all of the same number of trees."""
        bounds = [len(self._trees) * number // (groups * blocks) for number in range(groups * blocks + 1)]
        runs = list(itertools.pairwise(bounds))
        plans: list[GroupPlan] = []
        thousands, text = 0.0, float(_TEXT_PER_LEAF * sum(map(len, self._trees)))
        for first_run in range(0, len(runs), blocks):
            plan, group_thousands, group_text = self._group(runs[first_run : first_run + blocks])
            plans.append(plan)
            thousands += group_thousands
            text += group_text
        microseconds = _MICROSECONDS_PER_CALL + thousands * MICROSECONDS_PER_THOUSAND
        return Plan(self._trees, plans, microseconds, microseconds, int(text))

    def _group(self, runs: list[tuple[int, int]]) -> tuple[GroupPlan, float, float]:
        """The cheapest plan of one group with its thousands of instructions and bytes of text."""
        first, end = runs[0][0], runs[-1][1]
        ranks = self._ranks(first, end)

        def sum_cost(slot_format: SlotFormat) -> tuple[float, int, int]:
            slots = sum(map(slot_format.slots_for, self._leaves[first:end]))
            return *_sum_cost(slot_format, slots), slots

        def format_cost(slot_format: SlotFormat) -> float:
            thousands, _, slots = sum_cost(slot_format)
            return thousands + slots * slot_format.stride * len(ranks) * _PER_MASK_BYTE / 8

        slot_format = min(self._formats, key=format_cost)
        sum_thousands, unroll, slots = sum_cost(slot_format)
        mask = (-(-slots // unroll) * unroll) * slot_format.stride // 8
        lanes, lanes_thousands, text = min(
            (
                (plan, *_lanes_cost(plan, ranks, mask, len(runs), self._per_reach))
                for plan in lane_plans(len(ranks))
            ),
            key=lambda one: one[1] * MICROSECONDS_PER_THOUSAND + memory_cost(one[2], self._memory_weight),
        )
        for start, stop in runs:
            width = sum(map(slot_format.slots_for, self._leaves[start:stop])) * slot_format.stride // 8
            text += _TEXT_PER_MASK_BYTE * width * sum(self._ranks(start, stop).values())
        thousands = _PER_GROUP + sum_thousands + lanes_thousands
        return GroupPlan(runs, slot_format, unroll, lanes), thousands, text + 2 * slot_format.stride


def _lanes_cost(
    plan: LanePlan, ranks: dict[int, int], mask: int, blocks: int, per_reach: float
) -> tuple[float, float]:
    """Thousands of instructions and bytes of text for looking up and ANDing the masks of all features."""
    head, lanes = split_into_lanes(list(ranks), plan)
    iterations = len(lanes[0]) if lanes else 0
    lookups = len(head) + iterations * len(lanes)
    per_lane, per_lookup = _PER_LANE, _PER_LOOKUP + per_reach
    if blocks > 1:
        per_lane += _PER_COLUMN + (blocks - 1) * _PER_BLOCK
        per_lookup += _PER_COLUMN_LOOKUP + (blocks - 1) * _PER_BLOCK_LOOKUP
    thousands = (len(head) + len(lanes)) * per_lane + (_PER_LOOP if iterations > 1 else 0)
    thousands += lookups * per_lookup + iterations * _PER_LANE_ITERATION
    thousands += (lookups - len(head)) * mask * _PER_MASK_BYTE
    text = 0.0
    for rows, lane in ((1, head), *((iterations, lane) for lane in lanes)):
        # With several blocks the table of columns leads to one of starts, else it holds the starts themselves.
        per_threshold = (
            rows * _TEXT_PER_COLUMN + blocks * _TEXT_PER_START if blocks > 1 else rows * _TEXT_PER_START
        )
        text += _TEXT_PER_FEATURE + sum(ranks[feature] for feature in lane) * (
            _TEXT_PER_THRESHOLD + per_threshold
        )
    return thousands, text


def lane_plans(features: int) -> list[LanePlan]:
    """The divisions into lanes to compare."""
    return [
        LanePlan(lanes, head)
        for head in (False, True)
        for lanes in sorted({1, 2, 3, 4, 6, 8, features - head})
        if 1 <= lanes <= max(1, features - head)
    ]


def _sum_cost(slot_format: SlotFormat, slots: int) -> tuple[float, int]:
    """Thousands of instructions for adding the values of all slots, and how many one iteration reads.

    More slots per iteration are fewer iterations and larger expressions to build.
    """
    slot = _PER_SLOT + slot_format.parts * _PER_SLOT_PART
    term = _PER_TERM + slot_format.parts * _PER_TERM_PART

    def cost(unroll: int) -> float:
        iterations = -(-slots // unroll)
        return _PER_LOOP + iterations * (_PER_SLOT_ITERATION + unroll * slot) + unroll * term

    return min(
        (cost(unroll), unroll)
        for unroll in (1, 2, 3, 4, 6, 8)
        if unroll * slot_format.stride >= slot_format.reach
    )
