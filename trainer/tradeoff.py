"""The best forest within a cost limit: microseconds per call, and memory per connection.

For each number of leaves one forest of the most trees is fitted. Its first trees are the smaller forests, equal to
separate fits. Cost is predicted by the transpiler's model. The best of many forests is a little overrated, as always.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score

from rowguard.errors import SettingsError, TrainingDataError
from rowguard.progress import Progress, silent
from sql_scoring.engine import BitmaskCost, UnsupportedModelError, bitmask_cost
from trainer.dataset import Dataset
from trainer.forest import ForestParameters, fit_forest
from trainer.window import read_window

N_ESTIMATORS = (5, 10, 20, 35, 50, 75, 100)
MAX_LEAF_NODES = (8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class CostLimit:
    """The most that one call may take, in microseconds, and a connection hold, in megabytes (10**6 bytes)."""

    microseconds: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        if self.microseconds is None and self.megabytes is None:
            raise SettingsError("give a cost limit: microseconds per call, megabytes per connection, or both")
        for value in (self.microseconds, self.megabytes):
            if value is not None and not value > 0:
                raise SettingsError("a cost limit must be above 0")

    def allows(self, cost: BitmaskCost) -> bool:
        """Return whether a forest of that cost is within the limit."""
        return (self.microseconds is None or cost.microseconds <= self.microseconds) and (
            self.megabytes is None or cost.memory_bytes <= self.megabytes * 1e6
        )


@dataclass(frozen=True)
class GridPoint:
    """One forest of the grid."""

    n_estimators: int
    max_leaf_nodes: int
    average_precision: float
    microseconds: float
    megabytes: float
    is_within_limit: bool


@dataclass(frozen=True)
class TradeoffResult:
    """All forests of the grid, the best within the limit, and the rows of the evaluation."""

    grid: list[GridPoint]
    best: GridPoint
    parameters: ForestParameters
    rows: int
    frauds: int


def search_tradeoff(
    url: str,
    limit: CostLimit,
    *,
    label_delay: timedelta,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    parameters: ForestParameters = ForestParameters(),
    n_estimators: Sequence[int] = N_ESTIMATORS,
    max_leaf_nodes: Sequence[int] = MAX_LEAF_NODES,
    progress: Progress = silent,
) -> TradeoffResult:
    """Fit forests of many sizes on the earlier rows of the window, evaluate them on the later ones.

    Args:
        url: Address of the database.
        limit: What the chosen forest may cost.
        label_delay: Time until most frauds are reported.
        start: First event time of the window.
        cutoff: Label cutoff.
        parameters: The other parameters of the forests.
        n_estimators: Numbers of trees.
        max_leaf_nodes: Numbers of leaves per tree.
        progress: Called with each step.

    Returns:
        The grid and the best forest.

    Raises:
        TrainingDataError: There is too little labeled data, or no forest is within the limit.
    """
    rows = read_window(url, label_delay, start, cutoff)
    grid: list[GridPoint] = []
    for leaves in sorted(
        max_leaf_nodes, reverse=True
    ):  # the slowest first: an estimate of the rest is not too low
        progress(f"forests of {leaves} leaves per tree")
        size = replace(parameters, n_estimators=max(n_estimators), max_leaf_nodes=leaves)
        largest = fit_forest(rows.earlier.features, rows.earlier.is_fraud, size)
        grid += _evaluate_sizes(largest, leaves, sorted(n_estimators), rows.later, limit)
    grid.sort(key=lambda point: (point.max_leaf_nodes, point.n_estimators))
    affordable = [point for point in grid if point.is_within_limit]
    if not affordable:
        smallest = min(grid, key=lambda point: (point.microseconds, point.megabytes))
        raise TrainingDataError(
            f"no forest is within the limit; the smallest, {smallest.n_estimators} trees of "
            f"{smallest.max_leaf_nodes} leaves, takes {smallest.microseconds:.1f} µs and "
            f"{smallest.megabytes:.1f} MB"
        )
    best = max(affordable, key=lambda point: (point.average_precision, -point.microseconds))
    chosen = replace(parameters, n_estimators=best.n_estimators, max_leaf_nodes=best.max_leaf_nodes)
    return TradeoffResult(grid, best, chosen, len(rows.later), rows.later.frauds)


def first_trees(forest: RandomForestClassifier, count: int) -> Any:
    """Return a smaller forest, equal to a fit of that many trees with the same seed.

    Args:
        forest: A fitted forest.
        count: Number of its first trees.
    """
    smaller = copy.copy(forest)
    smaller.estimators_ = forest.estimators_[:count]
    smaller.n_estimators = count
    return smaller


def _evaluate_sizes(
    largest: RandomForestClassifier, leaves: int, sizes: Sequence[int], rows: Dataset, limit: CostLimit
) -> Iterator[GridPoint]:
    total = np.zeros(len(rows))
    features = np.ascontiguousarray(rows.features)
    added = 0
    for size in sizes:
        for tree in largest.estimators_[added:size]:
            total += tree.tree_.predict(features)[:, 1]
        added = size
        try:
            cost = bitmask_cost(first_trees(largest, size))
        except UnsupportedModelError:
            continue  # larger than the transpiler supports
        precision = float(average_precision_score(rows.is_fraud, total / size))
        yield GridPoint(
            size, leaves, precision, cost.microseconds, cost.memory_bytes / 1e6, limit.allows(cost)
        )
