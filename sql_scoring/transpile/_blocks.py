"""How the trees of a model share masks: the plan with the lowest price in time and memory.

Masks grow with leaves times distinct thresholds. Two ways divide them:

* *groups* of trees with thresholds of their own. Each is one more set of expressions, which a fresh
  transaction has to build again, so a group is dear in time.
* *blocks* within a group, which a loop visits with the same expressions: a table leads from the group's rank
  to the block's row. A further block costs little time, but tables grow with blocks times thresholds.

The price of a plan is its predicted time for one call in a fresh transaction, plus ``memory_weight``
microseconds for each megabyte of a backend's memory. All constants are measured (``benchmarks/engine``); only
their ratios matter here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rowguard.errors import UnsupportedModelError
from sql_scoring.transpile._masks import cuts_by_feature
from sql_scoring.transpile._slots import SlotFormat, TreeBits, choose_format
from sql_scoring.transpile._trees import Leaf

MICROSECONDS_PER_CALL = 3.0
MICROSECONDS_PER_GROUP_FEATURE = 0.75  # build and run rank, row and AND in one expression
MICROSECONDS_PER_BLOCK_FEATURE = 0.17  # one more row and AND with expressions that stand already
MICROSECONDS_PER_MASK_BYTE = 0.0009  # copy and AND
MICROSECONDS_PER_SLOT = 0.12
MICROSECONDS_PER_LOOP_TURN = 0.06
MICROSECONDS_PER_LOOP_TERM = 0.9  # build the expressions that read one slot
# PL/pgSQL and the plan cache keep five copies of the text and two of the constants in it.
MEMORY_PER_TEXT_BYTE = 6.2
_TEXT_PER_START = 7
_TEXT_PER_THRESHOLD = 19
_TEXT_PER_LEAF = 20
_TEXT_PER_FEATURE = 400


@dataclass(frozen=True)
class GroupPlan:
    """``runs``: first and past-last tree of each block; ``unroll``: slots read in one turn of the loop."""

    runs: list[tuple[int, int]]
    slot_format: SlotFormat
    unroll: int


@dataclass(frozen=True)
class Plan:
    """A whole model's groups with the predicted time of one call and size of the text."""

    groups: list[GroupPlan]
    microseconds: float
    text_bytes: int

    def price(self, memory_weight: float) -> float:
        """Microseconds, with memory turned into them."""
        return self.microseconds + memory_weight * self.text_bytes * MEMORY_PER_TEXT_BYTE / 1e6


def plan_groups(
    trees: list[list[Leaf]], *, text_budget: int, memory_weight: float, zero_is_nothing: bool
) -> Plan:
    """The cheapest plan that fits ``text_budget`` bytes, or UnsupportedModelError."""
    planner = _Planner(trees, zero_is_nothing)
    counts = [2**power for power in range(len(trees).bit_length())]
    if counts[-1] != len(trees):
        counts.append(len(trees))
    plans = [
        planner.plan(groups, blocks)
        for groups in counts
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

    def __init__(self, trees: list[list[Leaf]], zero_is_nothing: bool) -> None:
        self._trees = trees
        self._leaves = [TreeBits.of(tree, zero_is_nothing=zero_is_nothing) for tree in trees]
        self._cuts: list[dict[int, npt.NDArray[np.float64]]] = [
            {feature: np.array(cuts) for feature, cuts in cuts_by_feature([tree]).items()} for tree in trees
        ]
        self._ranks: dict[tuple[int, int], dict[int, int]] = {}

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
        microseconds, text = MICROSECONDS_PER_CALL, 0.0
        for number in range(groups):
            part = bounds[number * blocks : (number + 1) * blocks + 1]
            runs = list(itertools.pairwise(part))
            group_ranks = self.ranks(part[0], part[-1])
            features = len(group_ranks)
            slot_format = choose_format(
                self._leaves[part[0] : part[-1]],
                slot_weight=MICROSECONDS_PER_SLOT + MICROSECONDS_PER_LOOP_TURN / 2,
                bit_weight=MICROSECONDS_PER_MASK_BYTE / 8 * features,
            )
            per_block = [sum(map(slot_format.slots_for, self._leaves[first:past])) for first, past in runs]
            unroll = _unroll(max(per_block), blocks)
            slots = -(-max(per_block) // unroll) * unroll
            plans.append(GroupPlan(runs, slot_format, unroll))
            mask = slots * slot_format.stride // 8
            microseconds += features * MICROSECONDS_PER_GROUP_FEATURE + unroll * MICROSECONDS_PER_LOOP_TERM
            per_mask = MICROSECONDS_PER_BLOCK_FEATURE + mask * MICROSECONDS_PER_MASK_BYTE
            microseconds += blocks * features * per_mask
            microseconds += blocks * slots * (MICROSECONDS_PER_SLOT + MICROSECONDS_PER_LOOP_TURN / unroll)
            text += 2 * mask * sum(sum(self.ranks(first, past).values()) for first, past in runs)
            text += _TEXT_PER_THRESHOLD * sum(group_ranks.values()) + _TEXT_PER_FEATURE * features
            text += _TEXT_PER_START * blocks * sum(group_ranks.values()) if blocks > 1 else 0
        text += _TEXT_PER_LEAF * sum(map(len, self._trees)) + 2 * sum(
            len(group.runs) * group.slot_format.stride for group in plans
        )
        return Plan(plans, microseconds, int(text))


def _unroll(slots: int, blocks: int) -> int:
    """Slots per turn of the loop: fewer turns against larger expressions to build."""
    candidates = (1, 2, 3, 4, 6, 8)

    def cost(unroll: int) -> float:
        turns = blocks * -(-slots // unroll)
        per_turn = MICROSECONDS_PER_LOOP_TURN + unroll * MICROSECONDS_PER_SLOT
        return turns * per_turn + unroll * MICROSECONDS_PER_LOOP_TERM

    return min(candidates, key=cost)
