"""The best forest that a stated cost allows: microseconds per call, and memory per connection.

For each number of leaves one forest of the most trees is fitted; its first trees are the smaller forests, the same
ones that a fit of that size would give. Average precision is that of the later rows, cost is predicted by the
transpiler's model of its own output. As always when one picks the best of many, the precision of the chosen one is
a little flattering.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score

from rowguard.database import connect
from rowguard.errors import SettingsError, TrainingDataError
from sql_scoring.engine import BitmaskCost, UnsupportedModelError, bitmask_cost
from trainer.dataset import read_dataset, read_span
from trainer.forest import ForestParameters, fit_forest
from trainer.training import plan_window, require_frauds

TREES = (5, 10, 20, 35, 50, 75, 100)
LEAVES = (8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Budget:
    """What one call may take, in microseconds, and what a connection may hold, in megabytes (10**6 bytes)."""

    microseconds: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        if self.microseconds is None and self.megabytes is None:
            raise SettingsError("give a budget: microseconds per call, megabytes per connection, or both")
        for value in (self.microseconds, self.megabytes):
            if value is not None and not value > 0:
                raise SettingsError("a budget must be above 0")

    def allows(self, cost: BitmaskCost) -> bool:
        """Whether a forest of that cost fits."""
        return (self.microseconds is None or cost.microseconds <= self.microseconds) and (
            self.megabytes is None or cost.memory_bytes <= self.megabytes * 1e6
        )


@dataclass(frozen=True)
class Candidate:
    """One forest of the grid."""

    trees: int
    max_leaves: int
    average_precision: float
    microseconds: float
    megabytes: float
    fits: bool


@dataclass(frozen=True)
class Tradeoff:
    """Every forest that was looked at, and the best that fits."""

    candidates: list[Candidate]
    best: Candidate
    parameters: ForestParameters
    rows: int
    frauds: int


def search(
    url: str,
    budget: Budget,
    *,
    label_delay: timedelta,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    parameters: ForestParameters = ForestParameters(),
    trees: Sequence[int] = TREES,
    leaves: Sequence[int] = LEAVES,
    progress: Callable[[str], None] = lambda step: None,
) -> Tradeoff:
    """Fit on the earlier rows of the window, judge on the later ones, as `train` does.

    Raises:
        TrainingDataError: too little labelled data, or no forest of the grid fits the budget.
    """
    with connect(url) as connection:
        first, last, _ = read_span(connection)
    window = plan_window(first, last, label_delay, start, cutoff)
    progress("reading the training set")
    earlier = read_dataset(url, window.start, window.fit_end, window.validation_start)
    everything = read_dataset(url, window.start, window.end, window.known_at)
    boundary = np.datetime64(window.validation_start.astimezone(UTC).replace(tzinfo=None))
    later = everything.occurred_at >= boundary
    rows, is_fraud = everything.features[later], everything.is_fraud[later]
    require_frauds(earlier.frauds, int(is_fraud.sum()), window)
    found: list[Candidate] = []
    for most in leaves:
        progress(f"forests of {most} leaves a tree")
        largest = fit_forest(
            earlier.features, earlier.is_fraud, replace(parameters, trees=max(trees), max_leaves=most)
        )
        found += _judge(largest, most, sorted(trees), rows, is_fraud, budget)
    fitting = [one for one in found if one.fits]
    if not fitting:
        least = min(found, key=lambda one: (one.microseconds, one.megabytes))
        raise TrainingDataError(
            f"no forest fits the budget; the smallest, {least.trees} trees of {least.max_leaves} leaves, takes "
            f"{least.microseconds:.1f} µs and {least.megabytes:.1f} MB"
        )
    best = max(fitting, key=lambda one: (one.average_precision, -one.microseconds))
    chosen = replace(parameters, trees=best.trees, max_leaves=best.max_leaves)
    return Tradeoff(found, best, chosen, len(is_fraud), int(is_fraud.sum()))


def draw(tradeoff: Tradeoff, budget: Budget, path: Path) -> Path:
    """The trade-off as a picture: precision over cost, one line per number of leaves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for most in sorted({one.max_leaves for one in tradeoff.candidates}):
        line = [one for one in tradeoff.candidates if one.max_leaves == most]
        axes.plot(
            [one.microseconds for one in line],
            [one.average_precision for one in line],
            marker="o",
            label=f"{most} leaves",
        )
    best = tradeoff.best
    axes.plot(best.microseconds, best.average_precision, marker="*", markersize=18, color="black", zorder=5)
    if budget.microseconds is not None:
        axes.axvline(budget.microseconds, color="grey", linestyle="--")
    axes.set_xscale("log")
    axes.set_xlabel("microseconds per call (predicted)")
    axes.set_ylabel("average precision on later rows")
    axes.set_title(f"★ {best.trees} trees × {best.max_leaves} leaves, {best.megabytes:.1f} MB per connection")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _judge(
    largest: RandomForestClassifier,
    max_leaves: int,
    sizes: Sequence[int],
    rows: NDArray[np.float32],
    is_fraud: NDArray[np.bool_],
    budget: Budget,
) -> Iterator[Candidate]:
    total = np.zeros(len(rows))
    added = 0
    for size in sizes:
        for tree in largest.estimators_[added:size]:
            total += tree.tree_.predict(np.ascontiguousarray(rows))[:, 1]
        added = size
        try:
            cost = bitmask_cost(first_trees(largest, size))
        except UnsupportedModelError:
            continue  # larger than the transpiler writes at all
        yield Candidate(
            size,
            max_leaves,
            float(average_precision_score(is_fraud, total / size)),
            cost.microseconds,
            cost.memory_bytes / 1e6,
            budget.allows(cost),
        )


def first_trees(forest: RandomForestClassifier, count: int) -> Any:
    """The forest of the first trees: what a fit of that many trees with the same seed gives."""
    smaller = copy.copy(forest)
    smaller.estimators_ = forest.estimators_[:count]
    smaller.n_estimators = count
    return smaller
