"""Predicted costs of a model as a function.

The constants come from ``benchmarks/engine`` on one machine. They predict ratios between models and layouts
well, and absolute times only for machines like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sql_scoring.engine._blocks import MEMORY_PER_TEXT_BYTE
from sql_scoring.engine._planning import plan_model
from sql_scoring.engine._supported import assemble
from sql_scoring.engine._transpile import DEFAULT_MEMORY_WEIGHT, DEFAULT_SIZE_BUDGET_BYTES

# From the planner's sums to microseconds, and to the bytes that a backend really holds. Fitted by
# benchmarks/engine/scaling.py.
_MEASURED_PER_PREDICTED = 1.15
_HELD_PER_PREDICTED = 1.04


@dataclass(frozen=True)
class BitmaskCost:
    """Predicted cost of the ``bitmask`` layout.

    Attributes:
        microseconds: One call in a separate transaction.
        text_bytes: Length of the statement.
        memory_bytes: Memory that each backend holds from its first call on.
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
    """Predict the cost of a model without writing its text.

    Args:
        model: A fitted binary classifier of ``SUPPORTED_MODELS``.
        size_budget_bytes: As for ``transpile``.
        memory_weight: As for ``transpile``.

    Returns:
        Time, text and memory of the plan that ``transpile`` would write.

    Raises:
        UnsupportedModelError: As ``transpile`` does.
    """
    plan = plan_model(assemble(model), text_budget=size_budget_bytes, memory_weight=memory_weight)
    return BitmaskCost(
        plan.microseconds * _MEASURED_PER_PREDICTED,
        plan.text_bytes,
        int(plan.text_bytes * MEMORY_PER_TEXT_BYTE * _HELD_PER_PREDICTED),
    )
