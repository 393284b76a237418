"""The plan of a whole model: its inputs divided into regions, each with its groups, blocks and lanes.

A region is divided further while that lowers the cost: time weighted by the fraction of rows that reach the
region, and memory in full. No region may take longer than the undivided whole would: which rows are rare
changes sooner than a model does, and the rare ones matter most.
"""

from __future__ import annotations

from dataclasses import dataclass

from sql_scoring.engine._blocks import MICROSECONDS_PER_THOUSAND, Plan, memory_cost, plan_groups
from sql_scoring.engine._masks import cuts_by_feature
from sql_scoring.engine._regions import RegionSplit, Trees, best_region_split, restrict_leaves
from sql_scoring.engine.errors import UnsupportedModelError

_MICROSECONDS_PER_SPLIT = 4.5 * MICROSECONDS_PER_THOUSAND
_MAX_DEPTH = 3  # splits before a region; every further one takes as long to plan as the whole


@dataclass(frozen=True)
class Region:
    """Trees of one region with the plan for their masks, or the split that divides it."""

    trees: Trees
    plan: Plan
    split: RegionSplit | None = None
    low: Region | None = None
    high: Region | None = None

    @property
    def microseconds(self) -> float:
        """Predicted time of one call, weighted by the fractions of the training rows."""
        if self.split is None or self.low is None or self.high is None:
            return self.plan.microseconds
        fraction = self.split.fraction
        below = fraction * self.low.microseconds + (1 - fraction) * self.high.microseconds
        return _MICROSECONDS_PER_SPLIT + below

    @property
    def worst_case_microseconds(self) -> float:
        """Predicted time of a call that falls into the slowest region."""
        if self.low is None or self.high is None:
            return self.plan.microseconds
        worst = max(self.low.worst_case_microseconds, self.high.worst_case_microseconds)
        return _MICROSECONDS_PER_SPLIT + worst

    @property
    def text_bytes(self) -> int:
        """Predicted size of the text."""
        if self.low is None or self.high is None:
            return self.plan.text_bytes
        return self.low.text_bytes + self.high.text_bytes

    def leaves(self) -> list[Region]:
        """The regions that are not divided further."""
        if self.low is None or self.high is None:
            return [self]
        return self.low.leaves() + self.high.leaves()


def plan_regions(trees: Trees, *, text_budget: int, memory_weight: float, skip_zero_leaves: bool) -> Region:
    """The cheapest division of the inputs; raises UnsupportedModelError when the whole is too long."""
    thresholds = sum(map(len, cuts_by_feature(trees).values()))

    def divided(trees: Trees, fraction: float, depth: int) -> Region:
        plan = plan_groups(
            trees,
            text_budget=text_budget,
            memory_weight=memory_weight / fraction,
            skip_zero_leaves=skip_zero_leaves,
            thresholds=thresholds,
        )
        whole = Region(trees, plan)
        split = best_region_split(trees) if depth < _MAX_DEPTH else None
        if split is None:
            return whole
        fractions = {True: fraction * split.fraction, False: fraction * (1 - split.fraction)}
        try:
            low, high = (
                divided(restrict_leaves(trees, split, low=is_low), part, depth + 1)
                for is_low, part in fractions.items()
            )
        except UnsupportedModelError:
            return whole  # the slots of a half differ, and its text can be longer
        halves = Region([], whole.plan, split, low, high)

        def cost(region: Region) -> float:
            return fraction * region.microseconds + memory_cost(region.text_bytes, memory_weight)

        if halves.text_bytes > text_budget or halves.worst_case_microseconds > plan.microseconds:
            return whole
        return halves if cost(halves) < cost(whole) else whole

    return divided(trees, 1.0, 0)
