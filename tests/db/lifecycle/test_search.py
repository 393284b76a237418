"""The search over a database: the picks are results of the trials, and the command says so."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from trainer.search import Trial, search
from typer.testing import CliRunner

from rowguard.cli import app
from rowguard.database import connect
from tests.fix_database import Workspace
from trainer.backtest.protocol import BacktestPlan
from trainer.dataset import read_feature_groups, read_time_range
from trainer.forest import ForestParameters


def _plan(workspace: Workspace) -> BacktestPlan:
    """The second of two folds that a history of 45 days holds beside an inner one two weeks before."""
    with connect(workspace.url) as connection:
        _, last, _ = read_time_range(connection)
    return BacktestPlan(
        (last - timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    )


def test_a_fold_is_judged_as_the_backtest_judges_it(scored_template: Workspace) -> None:
    from trainer.backtest.runner import backtest

    plan = _plan(scored_template)
    with connect(scored_template.url) as connection:
        names = tuple(read_feature_groups(connection))
    small = ForestParameters(n_estimators=5, max_leaf_nodes=8)
    trials = [Trial("all", small, names), Trial("amount", small, names[:1])]
    told: list[int] = []
    found = search(
        scored_template.url, plan, trials, names, outer_folds=1, inner_folds=1,
        progress=lambda step, done, total: told.append(total - done),
    )  # fmt: skip
    assert told == [6, 5, 4, 3, 2, 1]
    assert [one.start for one in found.tried[0].results] == [plan.shifted(week).start for week in (-2, -1, 0)]
    (expected,) = backtest(scored_template.url, plan, parameters=small)
    assert found.tried[0].results[found.outer] == expected
    best = max(found.tried, key=lambda one: one.results[0].average_precision)
    assert found.picks[0].trial == best.trial
    assert found.picks[0].result == best.results[found.outer]


def test_the_command_reports_and_draws(
    scored_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", scored_template.url)
    plot = tmp_path / "search.svg"
    command = [
        "search",
        "--train-start",
        f"{_plan(scored_template).start:%Y-%m-%d}",
        "--folds",
        "1",
        "--inner",
        "1",
    ]
    told = CliRunner().invoke(app, [*command, "--trials", "6", "--json", "--plot", str(plot)])
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert [trial["name"] for trial in document["trials"]][:2] == ["default", "without user-windows"]
    assert len(document["trials"]) == 6 and len(document["picked"]["folds"]) == 1
    assert all(one["nodes"] <= 8_000 for trial in document["trials"] for one in trial["outer"])
    assert "<svg" in plot.read_text()
    refused = CliRunner().invoke(app, [*command, "--trials", "2"])
    assert refused.exit_code != 0 and "at least 5 trials" in str(refused.exception)
