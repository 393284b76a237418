"""The search: what it draws, and that no fold has a say in its own pick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rowguard.errors import SettingsError
from trainer.backtest.protocol import BacktestPlan, BacktestResult
from trainer.forest import ForestParameters
from trainer.search import DEFAULT_TRIAL, MAX_NODES, SHAPES, Trial, Tried, draw_trials, nested, weeks_between

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


def test_the_newest_inner_fold_is_known_when_the_outer_one_is_tested() -> None:
    plan = BacktestPlan(START)
    gap = weeks_between(plan)
    assert gap == 2
    assert plan.shifted(-gap).test_end + timedelta(days=7) <= plan.test_start
    assert plan.shifted(1 - gap).test_end + timedelta(days=7) > plan.test_start


def _tried(name: str, precisions: list[float]) -> Tried:
    results = tuple(
        BacktestResult(START + timedelta(weeks=week), 0.5, precision, 0.1, 10, 100, 5)
        for week, precision in enumerate(precisions)
    )
    return Tried(Trial(name, ForestParameters(), ("amount",)), results)


def test_a_fold_is_picked_for_by_earlier_folds_alone() -> None:
    """Two inner folds that end two weeks before: what shines on the fold itself, or the week before it, is not seen."""
    steady = _tried("steady", [0.6, 0.6, 0.6, 0.6, 0.6])
    late = _tried("late", [0.1, 0.1, 0.9, 0.9, 0.9])
    found = nested([steady, late], inner_folds=2, gap=2)
    assert found.outer == 3
    assert [pick.trial.name for pick in found.picks] == ["steady", "steady"]
    assert [pick.result.average_precision for pick in found.picks] == [0.6, 0.6]
    assert [pick.inner_average_precision for pick in found.picks] == [0.6, 0.6]
    changed = nested([steady, _tried("late", [0.1, 0.5, 0.9, 0.9, 0.0])], inner_folds=2, gap=2)
    assert [pick.trial.name for pick in changed.picks] == ["steady", "late"]
    assert changed.picks[1].result.average_precision == 0.0
