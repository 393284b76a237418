"""Backtest and thresholds: counts, money, overlap and days against a plain count in Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowguard.declaration import declared
from rowguard.errors import NoModelError, RuleError
from rowguard.operations.lists import add_entries, create_list
from rowguard.operations.rules import thresholds
from sql_scoring.rules.backtest import BacktestResult, backtest_rules
from sql_scoring.rules.thresholds import Costs, least_cost
from tests.db.rules.test_publish import publish, rule, rule_set
from tests.fix_database import Workspace

START = datetime(2026, 1, 1, tzinfo=UTC)


def load(workspace: Workspace) -> None:
    """Twelve rows of history: amounts 10 to 120, merchants 0 to 2; labels of some, one of them corrected."""
    with workspace.connect() as connection:
        connection.execute("SET rowguard.load_history = on")
        for number in range(1, 13):
            at = START + timedelta(days=number // 4, hours=number)
            connection.execute(
                "INSERT INTO transactions (user_id, transaction_id, amount, merchant_id, location, occurred_at, received_at,"
                " is_history) VALUES (%s, %s, %s, %s, 'DE', %s, %s, true)",
                [number % 5, 1000 + number, number * 10, number % 3, at, at],
            )
        for number, is_fraud, hours in (
            (3, True, 0),
            (6, True, 0),
            (6, False, 5),
            (9, True, 0),
            (11, True, 0),
            (12, False, 0),
        ):
            connection.execute(
                "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at) VALUES (%s, %s, %s, %s)",
                [number % 5, 1000 + number, is_fraud, START + timedelta(days=9, hours=hours)],
            )


def run(workspace: Workspace, *rules: dict[str, Any], **values: Any) -> BacktestResult:
    with workspace.connect() as connection:
        return backtest_rules(connection, rule_set(*rules), declared(), **values)


def test_matches_labels_money_and_days(migrated: Workspace) -> None:
    load(migrated)
    result = run(migrated, rule("large", "amount > 80"), rule("first", "merchant_id = 0", mode="shadow"))
    assert (result.transactions, result.frauds) == (12, 3)
    large, first = result.rules
    # 90, 100, 110, 120: frauds are 90 and 110; 120 is labeled legitimate, 100 has no label.
    assert (large.matched, large.frauds, large.good, large.unlabeled) == (4, 2, 2, 1)
    assert (large.fraud_amount, large.good_amount) == (200.0, 220.0)
    # 30, 60, 90, 120; the label of 60 was corrected.
    assert (first.matched, first.frauds, first.good) == (4, 2, 2)
    assert (result.total.matched, result.total.frauds) == (6, 3)
    days = {day["date"]: (day["matched"], day["frauds"]) for day in large.as_document()["days"]}
    assert days == {"2026-01-03": (3, 2), "2026-01-04": (1, 0)}
    assert large.as_document()["precision"] == 0.5
    assert run(migrated, rule("large", "amount > 80"), start=START + timedelta(days=3)).rules[0].matched == 1
    assert run(migrated, rule("a", "amount > 80"), rule("b", "true"), only="b").rules[0].matched == 12
    percent = run(migrated, rule("percent", "merchant_id % 3 = 0 AND location LIKE 'D%'"))
    assert percent.rules[0].matched == 4


def test_overlap_with_live_rules_counts_what_is_added(migrated: Workspace) -> None:
    load(migrated)
    publish(migrated, rule("in_force", "amount > 100"), rule("watching", "true", mode="shadow"))
    (result,) = run(migrated, rule("large", "amount > 80")).rules
    assert (result.live_rules, result.added, result.added_frauds) == (2, 2, 1)
    assert (result.added_fraud_amount, result.added_good_amount) == (90.0, 100.0)
    # A rule does not overlap with its own version in force.
    (result,) = run(migrated, rule("in_force", "amount > 80")).rules
    assert (result.live_rules, result.added) == (0, 4)


def test_lists_and_errors(migrated: Workspace) -> None:
    load(migrated)
    create_list(migrated.url, "watched", "merchant_id", "other")
    add_entries(migrated.url, "watched", [{"key": "2"}])
    result = run(migrated, rule("seen", "list.watched"), rule("broken", "1 / (amount - 50) > 0"))
    assert [each.matched for each in result.rules] == [4, 0]
    assert result.rules[1].error == "division by zero"
    assert result.total.matched == 4
    with pytest.raises(RuleError, match="there is no rule none"):
        run(migrated, rule("one", "true"), only="none")
    with pytest.raises(RuleError, match="no rule to evaluate"):
        run(migrated)


def test_history_is_scored_and_has_its_features(scored: Workspace) -> None:
    result = run(scored, rule("score", "fraud_probability > 0.5"), rule("busy", "user_txn_count_1h >= 2"))
    score, busy = result.rules
    assert result.frauds > 0 and score.matched > 0 and busy.matched > 0
    with scored.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM features.training_set AS f WHERE f.feature_values[3] >= 2"
        ).fetchone()
        threshold = connection.execute(
            "SELECT threshold FROM scoring.models WHERE state = 'champion'"
        ).fetchone()
    assert row is not None and threshold is not None
    assert busy.matched == row[0]
    if threshold[0] <= 0.5:
        assert score.alerts == score.matched
    assert score.frauds / score.matched > result.frauds / result.transactions


def test_least_cost_is_the_least_of_all() -> None:
    rows = [(0.9, True), (0.8, True), (0.8, False), (0.6, False), (0.5, True), (0.4, False), (0.1, False)]
    costs = Costs(false_positive=5, review=1, false_negative=20)

    def cost(declined: int, caught: int) -> float:
        return (
            sum(costs.false_positive for _, fraud in rows[:declined] if not fraud)
            + costs.review * (caught - declined)
            + sum(costs.false_negative for _, fraud in rows[caught:] if fraud)
        )

    cuts = [0, 1, 3, 4, 5, 6, 7]
    best = min((cost(i, j), i, j) for i in cuts for j in cuts if i <= j)
    assert cost(*least_cost(rows, costs)) == best[0]


def test_thresholds_need_scored_rows(migrated: Workspace, scored: Workspace) -> None:
    with pytest.raises(NoModelError):
        thresholds(migrated.url, review_rate=0.1)
    with pytest.raises(RuleError, match="scored 0 live rows in this period; thresholds need 200"):
        thresholds(scored.url, review_rate=0.1)
    with scored.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location)"
            " SELECT 1 + n % 300, 1 + n, 1 + n % 100, 'DE' FROM generate_series(1, 300) AS n"
        )
    choice = thresholds(scored.url, review_rate=0.1, decline_rate=0.01)
    assert choice.rows == 300 and choice.reviewed <= 30 and choice.declined <= 3
    with pytest.raises(RuleError, match="none of the scored rows is a known fraud"):
        thresholds(scored.url, costs=Costs(1, 1, 1))
