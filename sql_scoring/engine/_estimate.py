"""What a model will cost once it is a function, and which layout suits its use: measured, not guessed.

The constants come from ``benchmarks/engine`` on one machine; they predict ratios between models and layouts
well and absolute times only for machines like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine._blocks import MEMORY_PER_TEXT_BYTE
from sql_scoring.engine._planning import plan_regions
from sql_scoring.engine._supported import assemble, check_supported
from sql_scoring.engine._transpile import DEFAULT_MEMORY_WEIGHT, DEFAULT_SIZE_BUDGET_BYTES, Layout
from sql_scoring.engine._trees import leaves, tree_sum

# The case layout builds the state of every node in each transaction, and then tests one path per tree.
_CASE_MICROSECONDS_PER_NODE = 0.06
_CASE_MICROSECONDS_PER_TEST = 0.02
# The planner's constants weigh parts of a call against each other; this turns their sum into microseconds, and its
# count of bytes into what a backend really holds. Fitted by benchmarks/engine/growth.py.
_MEASURED_PER_PREDICTED = 1.15
_HELD_PER_PREDICTED = 1.04
# Of the bitmask layout's first call in a transaction, what every further call in it still costs.
_BITMASK_SHARE_WHEN_WARM = 0.5


@dataclass(frozen=True)
class BitmaskCost:
    """Predicted cost of the ``bitmask`` layout.

    ``microseconds``: one call in a transaction of its own. ``text_bytes``: the statement's length.
    ``memory_bytes``: what each backend holds from its first call on.
    """

    microseconds: float
    text_bytes: int
    memory_bytes: int


def bitmask_cost(
    model: Any,
    *,
    size_budget_bytes: int = DEFAULT_SIZE_BUDGET_BYTES,
    memory_weight: float = DEFAULT_MEMORY_WEIGHT,
) -> BitmaskCost:
    """Predict without writing the text; raises UnsupportedModelError as ``transpile`` does."""
    total = tree_sum(assemble(model))
    plan = plan_regions(
        [leaves(tree) for tree in total.trees],
        text_budget=size_budget_bytes,
        memory_weight=memory_weight,
        zero_is_nothing=total.divisor is not None,
    )
    return BitmaskCost(
        plan.microseconds * _MEASURED_PER_PREDICTED,
        plan.text_bytes,
        int(plan.text_bytes * MEMORY_PER_TEXT_BYTE * _HELD_PER_PREDICTED),
    )


def choose_layout(
    model: Any, *, rows_per_transaction: int = 1, size_budget_bytes: int = DEFAULT_SIZE_BUDGET_BYTES
) -> Layout:
    """The layout with the lowest predicted time for a transaction that scores that many rows."""
    check_supported(model)
    try:
        cost = bitmask_cost(model, size_budget_bytes=size_budget_bytes)
    except UnsupportedModelError:
        return "case"
    trees = [estimator.tree_ for estimator in getattr(model, "estimators_", [model])]
    nodes = sum(int(tree.node_count) for tree in trees)
    # Mean length of a path: every training row of a branch has passed it.
    tests = sum(
        float(tree.n_node_samples[tree.children_left >= 0].sum() / tree.n_node_samples[0]) for tree in trees
    )
    case = _CASE_MICROSECONDS_PER_NODE * nodes + rows_per_transaction * _CASE_MICROSECONDS_PER_TEST * tests
    bitmask = cost.microseconds * (1 + _BITMASK_SHARE_WHEN_WARM * (rows_per_transaction - 1))
    return "bitmask" if bitmask <= case else "case"
