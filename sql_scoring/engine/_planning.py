"""The plan of a whole model: its inputs divided into regions, each with groups, blocks and lanes of its own.

A region is divided further while that lowers the price, of which time counts by the share of the rows that come
to the region, and memory in full. No region may take longer than the undivided whole would: which rows are rare
changes sooner than a model does, and those that matter most are.
"""

from __future__ import annotations

from dataclasses import dataclass

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine._blocks import MICROSECONDS_PER_THOUSAND, Plan, memory_price, plan_groups
from sql_scoring.engine._masks import cuts_by_feature
from sql_scoring.engine._regions import Question, Trees, answered, best_question

_THOUSANDS_PER_QUESTION = 4.5
_DEEPEST = 3  # questions before a region; every one more takes as long to plan as the whole


@dataclass(frozen=True)
class Region:
    """Trees of one region with the plan for their masks, or the question that divides it."""

    trees: Trees
    plan: Plan
    question: Question | None = None
    low: Region | None = None
    high: Region | None = None

    @property
    def microseconds(self) -> float:
        """Predicted time of one call, by the shares of the training rows."""
        if self.question is None or self.low is None or self.high is None:
            return self.plan.microseconds
        share = self.question.share
        below = share * self.low.microseconds + (1 - share) * self.high.microseconds
        return _THOUSANDS_PER_QUESTION * MICROSECONDS_PER_THOUSAND + below

    @property
    def slowest(self) -> float:
        """Predicted time of a call that falls into the worst region."""
        if self.low is None or self.high is None:
            return self.plan.microseconds
        worst = max(self.low.slowest, self.high.slowest)
        return _THOUSANDS_PER_QUESTION * MICROSECONDS_PER_THOUSAND + worst

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


def plan_regions(trees: Trees, *, text_budget: int, memory_weight: float, zero_is_nothing: bool) -> Region:
    """The cheapest division found; raises UnsupportedModelError when the whole does not fit ``text_budget`` bytes."""

    thresholds = sum(map(len, cuts_by_feature(trees).values()))

    def divided(trees: Trees, share: float, depth: int) -> Region:
        plan = plan_groups(
            trees,
            text_budget=text_budget,
            memory_weight=memory_weight / share,
            zero_is_nothing=zero_is_nothing,
            thresholds=thresholds,
        )
        whole = Region(trees, plan)
        question = best_question(trees) if depth < _DEEPEST else None
        if question is None:
            return whole
        shares = {True: share * question.share, False: share * (1 - question.share)}
        try:
            low, high = (
                divided(answered(trees, question, low=is_low), part, depth + 1)
                for is_low, part in shares.items()
            )
        except UnsupportedModelError:
            return whole  # a half has slots of its own, and its text can be the longer one
        halves = Region([], whole.plan, question, low, high)

        def price(one: Region) -> float:
            return share * one.microseconds + memory_price(one.text_bytes, memory_weight)

        if halves.text_bytes > text_budget or halves.slowest > plan.microseconds:
            return whole
        return halves if price(halves) < price(whole) else whole

    return divided(trees, 1.0, 0)
