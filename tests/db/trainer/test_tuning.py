"""Tuning over a database: the selections are results of the trials, and the command reports them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rowguard.cli import app
from rowguard.database import connect
from rowguard.settings import settings
from tests.fix_database import Workspace
from trainer.backtest.protocol import BacktestPlan
from trainer.dataset import read_feature_groups, read_time_range
from trainer.forest import ForestParameters
from trainer.tuning import Trial, search


def _plan(workspace: Workspace) -> BacktestPlan:
    """The second of two folds that a history of 45 days holds next to an inner one two weeks before."""
    with connect(workspace.url) as connection:
        _, last, _ = read_time_range(connection)
    return BacktestPlan(
        (last - timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    )


def test_a_fold_is_evaluated_as_the_backtest_does(scored_template: Workspace) -> None:
    from trainer.backtest.runner import compare_models

    plan = _plan(scored_template)
    with connect(scored_template.url) as connection:
        names = tuple(read_feature_groups(connection))
    small = ForestParameters(n_estimators=5, max_leaf_nodes=8)
    trials = [Trial("all", small, names), Trial("amount", small, names[:1])]
    progress: list[str] = []
    result = search(
        scored_template.url, plan, trials, names, outer_folds=1, inner_folds=1,
        progress=progress.append,
    )  # fmt: skip
    assert progress[::5] == ["fold 1 of 3: all", "fold 3 of 3: amount"] and len(progress) == 6
    assert [fold.start for fold in result.trials[0].results] == [
        plan.shifted(week).start for week in (-2, -1, 0)
    ]
    (results,) = compare_models(scored_template.url, plan, parameters=small).values()
    assert result.trials[0].results[result.outer] == results[0]
    best = max(result.trials, key=lambda trial: trial.results[0].average_precision)
    assert result.selections[0].trial == best.trial
    assert result.selections[0].result == best.results[result.outer]


def test_the_command_reports_and_plots(
    scored_template: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("DATABASE_URL", scored_template.url)
    settings.cache_clear()  # other tests of this process may have read them
    request.addfinalizer(settings.cache_clear)
    plot = tmp_path / "tuning.svg"
    command = [
        "tune",
        "--train-start",
        f"{_plan(scored_template).start:%Y-%m-%d}",
        "--folds",
        "1",
        "--inner-folds",
        "1",
    ]
    told = CliRunner().invoke(app, [*command, "--trials", "6", "--json", "--plot", str(plot)])
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert [trial["name"] for trial in document["trials"]][:2] == ["default", "without user-windows"]
    assert len(document["trials"]) == 6 and len(document["selected"]["folds"]) == 1
    assert all(fold["nodes"] <= 8_000 for trial in document["trials"] for fold in trial["outer"])
    assert "<svg" in plot.read_text()
    rejected = CliRunner().invoke(app, [*command, "--trials", "2"])
    assert rejected.exit_code != 0 and "at least 5 trials" in str(rejected.exception)
