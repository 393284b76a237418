"""Prices of features in thousand instructions of a live read, measured by `python -m benchmarks.features.prices`.

A feature costs its aggregate; the first one of an index range, of a looked-up row or of a window of running totals
costs opening it as well. The table of the measurement is in docs/notes/entity-reads.md.
"""

from __future__ import annotations

from sql_scoring.features.expressions import find_names
from sql_scoring.features.plan import Kind, Plan, PlannedFeature

# Of the kinds whose features share a read: what the read itself costs.
OPENING: dict[Kind, float] = {"running_total": 20, "range": 77, "lookup": 56}
ROW = 2.1
_AGGREGATES: dict[tuple[Kind, str], float] = {
    ("running_total", "count"): 10,
    ("running_total", "sum"): 17,
    ("running_total", "mean"): 20,
    ("running_total", "stddev"): 10,
    ("lookup", "minutes_since_first"): 7,
    ("lookup", "minutes_since_last"): 7,
    ("lookup", "previous"): 11,
    ("range", "count"): 13,
    ("range", "sum"): 9,
    ("range", "mean"): 10,
    ("range", "stddev"): 32,
    ("range", "min"): 16,
    ("range", "max"): 17,
    ("range", "share"): 15,
    ("range", "distinct"): 28,
}
# Of all others.
_RECENCY, _RECENCY_OF_PAIR, _ROLLUP, _EXPRESSION, _REFERENCE, _RANGE = 7, 16, 2, 4, 20, 15


def price_text(plan: Plan, planned: PlannedFeature) -> str:
    """Return the price of a feature, of the first one of a range without rows and at its bound.

    Args:
        plan: All features.
        planned: One of them.
    """
    price = _price(plan, planned)
    if not _opens_a_read(plan, planned):
        return f"{price:.0f}"
    price += OPENING[planned.kind]
    if planned.kind != "range":
        return f"{price:.0f}"
    return f"{price:.0f} to {price + ROW * planned.at_most:,.0f}"


def _price(plan: Plan, planned: PlannedFeature) -> float:
    if planned.kind == "recency":
        return _RECENCY_OF_PAIR if planned.extra_columns else _RECENCY
    if planned.kind == "rollup":
        return _ROLLUP
    if planned.kind == "derived":
        references = {name for _, _, name, _ in plan.declaration.reference_columns()}
        read = {name.parts[0] for name in find_names(planned.feature.expression or "")}
        return _EXPRESSION + _REFERENCE * len(read & references)
    return _AGGREGATES.get((planned.kind, planned.feature.aggregate or ""), _RANGE)


def _opens_a_read(plan: Plan, planned: PlannedFeature) -> bool:
    """Whether it is the first feature of its range, of its looked-up row, or of its window of running totals."""
    if planned.kind == "range":
        return any(read.features[0] == planned for read in plan.ranges)
    if planned.kind == "lookup":
        return any(read.features[:1] == (planned,) for read in plan.lookups)
    if planned.kind == "running_total":
        same = [one for one in plan.of_kind("running_total") if one.feature.length == planned.feature.length]
        return same[0] == planned
    return False
