"""The best forest that a cost allows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from rowguard.errors import SettingsError, TrainingDataError
from sql_scoring.engine import bitmask_cost
from tests.fix_database import Workspace
from trainer.budget import Budget, draw, first_trees, search
from trainer.forest import ForestParameters, fit_forest

WEEK = timedelta(days=7)
TREES, LEAVES = (4, 12), (8, 32)
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(600, 4)).astype(np.float32)
FRAUD = ROWS[:, 0] + RNG.normal(size=600) > 1


def test_a_budget_says_what_it_limits() -> None:
    with pytest.raises(SettingsError, match="give a budget"):
        Budget()
    with pytest.raises(SettingsError, match="above 0"):
        Budget(microseconds=-1)


def test_first_trees_are_the_forest_of_that_size() -> None:
    large = fit_forest(ROWS, FRAUD, ForestParameters(n_estimators=9, max_leaf_nodes=8))
    small = fit_forest(ROWS, FRAUD, ForestParameters(n_estimators=3, max_leaf_nodes=8))
    assert (first_trees(large, 3).predict_proba(ROWS) == small.predict_proba(ROWS)).all()
    assert len(large.estimators_) == 9
    assert bitmask_cost(first_trees(large, 3)) == bitmask_cost(small)


def test_the_best_that_fits_is_chosen_and_drawn(scored: Workspace, tmp_path: Path) -> None:
    open_end = search(scored.url, Budget(microseconds=1e6), label_delay=WEEK, trees=TREES, leaves=LEAVES)
    assert [(one.trees, one.max_leaves) for one in open_end.candidates] == [
        (4, 8),
        (12, 8),
        (4, 32),
        (12, 32),
    ]
    assert all(one.fits for one in open_end.candidates)
    assert open_end.best.average_precision == max(one.average_precision for one in open_end.candidates)
    costs = [one.microseconds for one in open_end.candidates]
    assert costs[0] < costs[1] < costs[3] and costs[0] < costs[2] < costs[3]
    limit = Budget(microseconds=costs[0], megabytes=open_end.candidates[0].megabytes)
    tight = search(scored.url, limit, label_delay=WEEK, trees=TREES, leaves=LEAVES)
    assert (tight.best.trees, tight.best.max_leaves) == (4, 8)
    assert (tight.parameters.n_estimators, tight.parameters.max_leaf_nodes) == (4, 8)
    assert [one.fits for one in tight.candidates] == [True, False, False, False]
    picture = draw(tight, limit, tmp_path / "plots" / "tradeoff.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(
        TrainingDataError, match="no forest fits the budget; the smallest, 4 trees of 8 leaves"
    ):
        search(scored.url, Budget(microseconds=0.1), label_delay=WEEK, trees=TREES, leaves=LEAVES)
