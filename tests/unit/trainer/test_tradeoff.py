"""The best forest within a cost limit."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from rowguard.errors import SettingsError, TrainingDataError
from sql_scoring.engine import bitmask_cost
from tests.fix_database import Workspace
from trainer.forest import ForestParameters, fit_forest
from trainer.plots import plot_tradeoff
from trainer.tradeoff import CostLimit, first_trees, search_tradeoff

WEEK = timedelta(days=7)
TREES, LEAVES = (4, 12), (8, 32)
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(600, 4)).astype(np.float32)
FRAUD = ROWS[:, 0] + RNG.normal(size=600) > 1


def test_a_cost_limit_needs_a_positive_bound() -> None:
    with pytest.raises(SettingsError, match="give a cost limit"):
        CostLimit()
    with pytest.raises(SettingsError, match="above 0"):
        CostLimit(microseconds=-1)


def test_first_trees_are_the_forest_of_that_size() -> None:
    large = fit_forest(ROWS, FRAUD, ForestParameters(n_estimators=9, max_leaf_nodes=8))
    small = fit_forest(ROWS, FRAUD, ForestParameters(n_estimators=3, max_leaf_nodes=8))
    assert (first_trees(large, 3).predict_proba(ROWS) == small.predict_proba(ROWS)).all()
    assert len(large.estimators_) == 9
    assert bitmask_cost(first_trees(large, 3)) == bitmask_cost(small)


def test_the_best_within_the_limit_is_chosen_and_plotted(scored: Workspace, tmp_path: Path) -> None:
    unlimited = search_tradeoff(
        scored.url, CostLimit(microseconds=1e6), label_delay=WEEK, n_estimators=TREES, max_leaf_nodes=LEAVES
    )
    assert [(point.n_estimators, point.max_leaf_nodes) for point in unlimited.grid] == [
        (4, 8),
        (12, 8),
        (4, 32),
        (12, 32),
    ]
    assert all(point.is_within_limit for point in unlimited.grid)
    assert unlimited.best.average_precision == max(point.average_precision for point in unlimited.grid)
    costs = [point.microseconds for point in unlimited.grid]
    assert costs[0] < costs[1] < costs[3] and costs[0] < costs[2] < costs[3]
    limit = CostLimit(microseconds=costs[0], megabytes=unlimited.grid[0].megabytes)
    tight = search_tradeoff(scored.url, limit, label_delay=WEEK, n_estimators=TREES, max_leaf_nodes=LEAVES)
    assert (tight.best.n_estimators, tight.best.max_leaf_nodes) == (4, 8)
    assert (tight.parameters.n_estimators, tight.parameters.max_leaf_nodes) == (4, 8)
    assert [point.is_within_limit for point in tight.grid] == [True, False, False, False]
    picture = tmp_path / "plots" / "tradeoff.png"
    plot_tradeoff(tight, limit, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(
        TrainingDataError, match="no forest is within the limit; the smallest, 4 trees of 8 leaves"
    ):
        search_tradeoff(
            scored.url,
            CostLimit(microseconds=0.1),
            label_delay=WEEK,
            n_estimators=TREES,
            max_leaf_nodes=LEAVES,
        )
