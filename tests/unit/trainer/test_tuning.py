"""Tuning: the drawn trials, and that no fold takes part in its own selection."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rowguard.errors import SettingsError, TrainingDataError
from sql_scoring.engine import BitmaskCost
from trainer.backtest.protocol import BacktestPlan, BacktestResult
from trainer.families import family_of
from trainer.forest import ForestParameters
from trainer.tuning import (
    DEFAULT_TRIAL,
    MAX_NODES,
    SHAPES,
    Trial,
    TrialResult,
    draw_trials,
    select_per_fold,
    weeks_between,
)

GROUPS = {"amount": "transaction", "count": "user-windows", "risk": "merchant-risk", "mean": "user-windows"}
START = datetime(2026, 1, 5, tzinfo=UTC)


def test_trials_begin_with_the_default_and_fit_the_nodes() -> None:
    trials = draw_trials(GROUPS, 20, seed=1)
    assert [trial.name for trial in trials[:3]] == [
        DEFAULT_TRIAL,
        "without user-windows",
        "without merchant-risk",
    ]
    assert trials[0].parameters == ForestParameters() and trials[0].features == tuple(GROUPS)
    assert trials[1].features == ("amount", "risk")
    assert len({trial.name for trial in trials}) == 20
    assert trials == draw_trials(GROUPS, 20, seed=1) != draw_trials(GROUPS, 20, seed=2)
    assert all(trees * (2 * leaves - 1) <= MAX_NODES for trees, leaves in SHAPES)


def test_too_few_trials_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least 3 trials"):
        draw_trials(GROUPS, 2)


def test_families_are_drawn_in_turn() -> None:
    trials = draw_trials(GROUPS, 20, seed=1, families=("forest", "hist", "xgboost"))
    assert [trial.name for trial in trials[:5]] == [
        DEFAULT_TRIAL, "without user-windows", "without merchant-risk", "hist", "xgboost",
    ]  # fmt: skip
    counts = Counter(family_of(trial.parameters) for trial in trials)
    assert len(counts) == 3 and min(counts.values()) >= 5
    assert len({trial.name for trial in trials}) == 20
    with pytest.raises(SettingsError, match="at least 5 trials"):
        draw_trials(GROUPS, 4, families=("forest", "hist", "xgboost"))


def test_a_trial_beyond_the_limit_is_never_selected() -> None:
    cheap = _trial("cheap", [0.4] * 5)
    expensive = replace(_trial("expensive", [0.9] * 5), cost=BitmaskCost(99.0, 1, 1), is_within_limit=False)
    result = select_per_fold([cheap, expensive], inner_folds=2, gap=2)
    assert {selection.trial.name for selection in result.selections} == {"cheap"}
    with pytest.raises(TrainingDataError, match="no trial is within the cost limit"):
        select_per_fold([expensive], inner_folds=2, gap=2)


def test_the_newest_inner_fold_is_known_when_the_outer_one_is_tested() -> None:
    plan = BacktestPlan(START)
    gap = weeks_between(plan)
    assert gap == 2
    assert plan.shifted(-gap).test_end + timedelta(days=7) <= plan.test_start
    assert plan.shifted(1 - gap).test_end + timedelta(days=7) > plan.test_start


def _trial(name: str, precisions: list[float]) -> TrialResult:
    results = tuple(
        BacktestResult(START + timedelta(weeks=week), 0.5, precision, 0.2, 0.1, 10, 100, 5)
        for week, precision in enumerate(precisions)
    )
    return TrialResult(Trial(name, ForestParameters(), ("amount",)), results)


def test_a_fold_selects_by_earlier_folds_only() -> None:
    """Two inner folds that end two weeks before: results on the fold itself or the week before it do not count."""
    steady = _trial("steady", [0.6, 0.6, 0.6, 0.6, 0.6])
    late = _trial("late", [0.1, 0.1, 0.9, 0.9, 0.9])
    result = select_per_fold([steady, late], inner_folds=2, gap=2)
    assert result.outer == 3
    assert [selection.trial.name for selection in result.selections] == ["steady", "steady"]
    assert [selection.result.average_precision for selection in result.selections] == [0.6, 0.6]
    assert [selection.inner_average_precision for selection in result.selections] == [0.6, 0.6]
    changed = select_per_fold([steady, _trial("late", [0.1, 0.5, 0.9, 0.9, 0.0])], inner_folds=2, gap=2)
    assert [selection.trial.name for selection in changed.selections] == ["steady", "late"]
    assert changed.selections[1].result.average_precision == 0.0
