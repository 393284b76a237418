"""The plan of a whole model: its inputs divided into regions, each with its groups, blocks and lanes.

A region is divided further while that lowers the cost: time weighted by the fraction of rows that reach the
region, and memory in full. No region may take longer than the undivided whole would: which rows are rare
changes sooner than a model does, and the rare ones matter most.
"""

from __future__ import annotations

from dataclasses import replace

from sql_scoring.engine._blocks import MICROSECONDS_PER_THOUSAND, Plan, plan_groups
from sql_scoring.engine._masks import cuts_by_feature
from sql_scoring.engine._regions import Trees, best_region_split, restrict_leaves
from sql_scoring.engine._slots import COMPACT_FORMATS, FORMATS
from sql_scoring.engine._trees import TreeSum, leaves
from sql_scoring.engine.errors import UnsupportedModelError

_MICROSECONDS_PER_SPLIT = 4.5 * MICROSECONDS_PER_THOUSAND
_MAX_DEPTH = 3  # splits before a region; every further one takes as long to plan as the whole


def plan_model(model: TreeSum, *, text_budget: int, memory_weight: float) -> Plan:
    """The cheapest plan of a model; raises UnsupportedModelError when the undivided whole is too long."""
    model_trees = [leaves(tree) for tree in model.trees]
    thresholds = sum(map(len, cuts_by_feature(model_trees).values()))

    def divided(trees: Trees, fraction: float, depth: int) -> Plan:
        weight = memory_weight / fraction
        whole = plan_groups(
            trees,
            text_budget=text_budget,
            memory_weight=weight,
            skip_zero_leaves=model.skip_zero_leaves,
            thresholds=thresholds,
            formats=FORMATS if model.start is None else COMPACT_FORMATS,
        )
        split = best_region_split(trees) if depth < _MAX_DEPTH else None
        if split is None:
            return whole
        below, above = split.fraction, 1 - split.fraction
        try:
            low = divided(restrict_leaves(trees, split, low=True), fraction * below, depth + 1)
            high = divided(restrict_leaves(trees, split, low=False), fraction * above, depth + 1)
        except UnsupportedModelError:
            return whole  # the slots of a half differ, and its text can be longer
        halves = replace(
            whole,
            microseconds=_MICROSECONDS_PER_SPLIT + below * low.microseconds + above * high.microseconds,
            worst_microseconds=_MICROSECONDS_PER_SPLIT + max(low.worst_microseconds, high.worst_microseconds),
            text_bytes=low.text_bytes + high.text_bytes,
            split=split,
            halves=(low, high),
        )
        if halves.text_bytes > text_budget or halves.worst_microseconds > whole.microseconds:
            return whole
        return min(whole, halves, key=lambda plan: plan.cost(weight))

    return divided(model_trees, 1.0, 0)
