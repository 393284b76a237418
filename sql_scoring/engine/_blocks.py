"""How the trees of a model share masks: the plan with the lowest price in time and memory.

Masks grow with leaves times distinct thresholds. Two ways divide them:

* *groups* of trees with thresholds of their own. Each is one more set of expressions, which a fresh
  transaction has to build again, so a group is dear in time.
* *blocks* within a group, each with the rows of its own thresholds. A feature's mask is put together from one
  row of every block: a table leads from the group's rank to the block's row. A further block is a look-up and a
  copy more for each feature, and tables grow with blocks times thresholds.

Within a group the features are divided into lanes (see ``_lanes``), and the leaves into slots (see ``_slots``).

The price of a plan is its predicted time for one call in a fresh transaction, plus ``memory_weight``
microseconds for each megabyte of a backend's memory. The time is reckoned in thousands of instructions, which
callgrind counts to the last one (``benchmarks/inserts/instructions.py`` shows how).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine._lanes import LanePlan, shares
from sql_scoring.engine._masks import cuts_by_feature
from sql_scoring.engine._slots import SlotFormat, TreeBits, choose_format
from sql_scoring.engine._trees import Leaf

# Thousands of instructions.
_PER_GROUP = 1.0
_PER_LOOP = 1.5
_PER_LANE = 10.7  # build rank, row and AND
_PER_LOOKUP = 1.4  # rank, row and AND of a feature with expressions that stand already, bytes aside
_PER_LANE_TURN = 0.8
_PER_COLUMN = 4.0  # of several blocks the rank goes to a variable first
_PER_COLUMN_LOOKUP = 0.46
_PER_BLOCK = 4.1  # build the expressions that look one block's row up and join it
_PER_BLOCK_LOOKUP = 0.58
_PER_MASK_BYTE = 0.0113  # copy and AND
_PER_TERM = 6.5  # build the expressions that look up one slot
_PER_TERM_PART = 1.5  # and read one part of it
_PER_SLOT = 0.22
_PER_SLOT_PART = 0.65
_PER_SLOT_TURN = 0.3
MICROSECONDS_PER_THOUSAND = 0.0535
_MICROSECONDS_PER_CALL = 3.0
# A look-up reaches into tables and masks that grow with the model's thresholds and leave the processor's caches.
_MICROSECONDS_PER_LOOKUP_AND_THRESHOLD = 0.0131e-3
_THRESHOLDS_OUT_OF_CACHE = 10_000
# With so few trees no more than four groups have ever paid.
_FEW_TREES = 128
_GROUPS_OF_FEW_TREES = 3
# PL/pgSQL and the plan cache keep five copies of the text, one more of what is base64, and the constants.
MEMORY_PER_TEXT_BYTE = 7.1
_TEXT_PER_MASK_BYTE = 4 / 3
_TEXT_PER_START = 8
_TEXT_PER_COLUMN = 5
_TEXT_PER_THRESHOLD = 19
_TEXT_PER_LEAF = 20
_TEXT_PER_FEATURE = 400


@dataclass(frozen=True)
class GroupPlan:
    """``runs``: first and past-last tree of each block; ``unroll``: slots read in one turn of the loop."""

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

    def price(self, memory_weight: float) -> float:
        """Microseconds, with memory turned into them."""
        return self.microseconds + memory_price(self.text_bytes, memory_weight)


def memory_price(text_bytes: float, memory_weight: float) -> float:
    """Microseconds that the memory of so much text is worth."""
    return memory_weight * text_bytes * MEMORY_PER_TEXT_BYTE / 1e6


def plan_groups(
    trees: list[list[Leaf]],
    *,
    text_budget: int,
    memory_weight: float,
    zero_is_nothing: bool,
    thresholds: int | None = None,
) -> Plan:
    """The cheapest plan that fits ``text_budget`` bytes, or UnsupportedModelError.

    ``thresholds``: those of the whole model, if these trees are a part of it.
    """
    planner = _Planner(trees, zero_is_nothing, memory_weight)
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
    return min(fitting, key=lambda plan: plan.price(memory_weight))


class _Planner:
    """Predicts plans, remembering what it counted per part of the trees."""

    def __init__(self, trees: list[list[Leaf]], zero_is_nothing: bool, memory_weight: float) -> None:
        self._trees = trees
        self._memory_weight = memory_weight
        self._leaves = [TreeBits.of(tree, zero_is_nothing=zero_is_nothing) for tree in trees]
        self._cuts: list[dict[int, npt.NDArray[np.float64]]] = [
            {feature: np.array(cuts) for feature, cuts in cuts_by_feature([tree]).items()} for tree in trees
        ]
        self._ranks: dict[tuple[int, int], dict[int, int]] = {}
        self.thresholds = 0

    def count_thresholds(self) -> int:
        """The distinct thresholds of all trees and features."""
        return sum(self.ranks(0, len(self._trees)).values())

    def ranks(self, first: int, past: int) -> dict[int, int]:
        """Ranks (missing included) of each feature used by trees ``first`` to ``past``."""
        key = (first, past)
        if key not in self._ranks:
            joined: dict[int, list[npt.NDArray[np.float64]]] = {}
            for cuts in self._cuts[first:past]:
                for feature, values in cuts.items():
                    joined.setdefault(feature, []).append(values)
            self._ranks[key] = {
                feature: len(np.unique(np.concatenate(values))) + 2 for feature, values in joined.items()
            }
        return self._ranks[key]

    def plan(self, groups: int, blocks: int) -> Plan:
        """The plan with that many groups of that many blocks each, equal in trees."""
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
                key=lambda one: self._price(*self._lanes_cost(one, ranks, mask, blocks)),
            )
            lanes_thousands, lanes_text = self._lanes_cost(lanes, ranks, mask, blocks)
            plans.append(GroupPlan(runs, slot_format, unroll, lanes))
            thousands += _PER_GROUP + sum_thousands + lanes_thousands
            text += lanes_text
            for first, past in runs:
                width = sum(map(slot_format.slots_for, self._leaves[first:past])) * slot_format.stride // 8
                text += _TEXT_PER_MASK_BYTE * width * sum(self.ranks(first, past).values())
        text += _TEXT_PER_LEAF * sum(map(len, self._trees)) + 2 * sum(
            group.slot_format.stride for group in plans
        )
        microseconds = _MICROSECONDS_PER_CALL + thousands * MICROSECONDS_PER_THOUSAND
        return Plan(plans, microseconds, int(text))

    def _price(self, thousands: float, text: float) -> float:
        return thousands * MICROSECONDS_PER_THOUSAND + memory_price(text, self._memory_weight)

    def _lanes_cost(
        self, plan: LanePlan, ranks: dict[int, int], mask: int, blocks: int
    ) -> tuple[float, float]:
        """Thousands of instructions and bytes of text for finding and ANDing the masks of all features."""
        head, lanes = shares(list(ranks), plan)
        turns = len(lanes[0]) if lanes else 0
        looked_up = len(head) + turns * len(lanes)
        per_lane, per_lookup = _PER_LANE, _PER_LOOKUP
        if blocks > 1:
            per_lane += _PER_COLUMN + (blocks - 1) * _PER_BLOCK
            per_lookup += _PER_COLUMN_LOOKUP + (blocks - 1) * _PER_BLOCK_LOOKUP
        reached = min(self.thresholds, _THRESHOLDS_OUT_OF_CACHE) * _MICROSECONDS_PER_LOOKUP_AND_THRESHOLD
        thousands = (len(head) + len(lanes)) * per_lane + (_PER_LOOP if turns > 1 else 0)
        thousands += looked_up * (per_lookup + reached / MICROSECONDS_PER_THOUSAND) + turns * _PER_LANE_TURN
        thousands += (looked_up - len(head)) * mask * _PER_MASK_BYTE
        text = 0.0
        for lane in (head, *lanes):
            thresholds = sum(ranks[feature] for feature in lane)
            text += _TEXT_PER_FEATURE + thresholds * _TEXT_PER_THRESHOLD
            columns = (turns if lane is not head else 1) * thresholds
            # With several blocks the table of columns leads to one of starts, else it holds the starts themselves.
            text += columns * (_TEXT_PER_COLUMN if blocks > 1 else _TEXT_PER_START)
            text += blocks * thresholds * _TEXT_PER_START if blocks > 1 else 0
        return thousands, text


def lane_plans(features: int) -> list[LanePlan]:
    """Every division into lanes worth a look; without features there is one that does nothing."""
    if features == 0:
        return [LanePlan(1, head=False)]
    return [
        LanePlan(lanes, head)
        for head in (False, True)
        for lanes in sorted({1, 2, 3, 4, 6, 8, features - head})
        if 1 <= lanes <= max(1, features - head)
    ]


def _slots_cost(slot_format: SlotFormat, slots: int, *, per_bit: float) -> float:
    """Thousands of instructions for so many slots, with those for carrying their bits through the ANDs."""
    return _sum_cost(slot_format, slots)[0] + slots * slot_format.stride * per_bit


def _sum_cost(slot_format: SlotFormat, slots: int) -> tuple[float, int]:
    """Thousands of instructions for adding the values of all slots, and how many a turn of the loop reads.

    More slots a turn are fewer turns against larger expressions to build.
    """
    slot = _PER_SLOT + slot_format.parts * _PER_SLOT_PART
    term = _PER_TERM + slot_format.parts * _PER_TERM_PART

    def cost(unroll: int) -> float:
        turns = -(-slots // unroll)
        return _PER_LOOP + turns * (_PER_SLOT_TURN + unroll * slot) + unroll * term

    best = min((1, 2, 3, 4, 6, 8), key=cost)
    return cost(best), best
