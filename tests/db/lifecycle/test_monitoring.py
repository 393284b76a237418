"""What the monitoring views say of live rows, and the command's answer to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rowguard.errors import SchemaError
from rowguard.operations.monitor import monitor
from tests.db.lifecycle.models import insert_rows, train_small
from tests.fix_database import Workspace
from trainer.retrain import deploy

ALIKE = """
    INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)
    SELECT user_id, amount, merchant_id, location, now() - interval '20 days' + n * interval '20 minutes'
    FROM (SELECT *, row_number() OVER (ORDER BY occurred_at DESC) AS n FROM transactions WHERE is_history) AS t
    WHERE n <= 1400
"""


def metrics(workspace: Workspace) -> dict[tuple[str, str], Any]:
    return {(row["metric"], row["subject"]): row for row in monitor(workspace.url).metrics}


def test_before_any_live_row_nothing_is_an_alarm(scored: Workspace) -> None:
    found = monitor(scored.url)
    assert found.alarms == []
    assert [row["metric"] for row in found.metrics] == ["champion_age_days"]


def test_drifted_amounts_and_unscored_rows_are_alarms(scored: Workspace, tmp_path: Path) -> None:
    with scored.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location)"
            " SELECT 1 + g % 300, 5000 + g, g % 50, 'DE' FROM generate_series(1, 1200) AS g"
        )
        connection.execute(
            "UPDATE transactions SET unscored_reason = 'x' WHERE NOT is_history AND user_id < 20"
        )
    found = monitor(scored.url, report=tmp_path / "report.html")
    alarms = {(row["metric"], row["subject"]) for row in found.alarms}
    assert {("feature_psi", "transaction_amount"), ("unscored_rate", "all rows")} <= alarms
    assert "feature_psi of transaction_amount is" in found.sentence()
    page = (tmp_path / "report.html").read_text()
    assert (
        page.count("<svg") == 1
        and "transaction_amount" in page
        and "http://" not in page.split("</style>")[1][:200]
    )
    psi = metrics(scored)["feature_psi", "transaction_amount"]
    assert psi["row_count"] == 1200 and psi["value"] > 1


def test_rows_on_an_old_snapshot_are_counted(scored: Workspace) -> None:
    rows = "INSERT INTO transactions (user_id, amount) SELECT 1 + mod(g, 300), 10 FROM generate_series(1, %s) AS g"
    with scored.connect() as connection:
        connection.execute(rows, [970])
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute(rows, [30])
    rate = metrics(scored)["features_caveat_rate", "all rows"]
    assert (rate["value"], rate["row_count"], rate["is_alarm"]) == (0.03, 1000, True)


def test_psi_is_the_textbooks(scored: Workspace) -> None:
    """Recomputed from the rates that the view shows."""
    import math

    insert_rows(scored, 600)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT name, psi, live_fractions, reference_fractions FROM features.monitoring_drift"
        ).fetchall()
        amounts = connection.execute(
            "SELECT sum(row_count) FROM features.monitoring_bins WHERE name = 'transaction_amount'"
        ).fetchone()
        features = connection.execute("SELECT count(*) FROM features.feature_definitions").fetchone()
    assert features is not None
    assert len(rows) == features[0] + 1 and amounts == (600,)
    for name, psi, live, reference in rows:
        assert sum(live) == pytest.approx(1), name
        assert sum(reference) == pytest.approx(1, abs=1e-4), name
        expected = sum(
            (max(p, 1e-4) - max(q, 1e-4)) * math.log(max(p, 1e-4) / max(q, 1e-4))
            for p, q in zip(live, reference, strict=True)
        )
        assert psi == pytest.approx(expected), name


def test_rows_like_those_of_training_are_no_drift_in_amount(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(ALIKE)
        row = connection.execute("SELECT sum(row_count) FROM features.monitoring_scores_daily").fetchone()
        days = connection.execute(
            "SELECT avg(psi), count(*) FROM features.monitoring_distributions_daily"
            " WHERE name = 'transaction_amount' AND row_count >= 70"
        ).fetchone()
    assert row == (1400,)
    assert days is not None and days[1] >= 15 and days[0] < 0.4


def test_outcomes_wait_for_the_label_delay(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at)"
            " SELECT 1 + g % 100, 20, now() - (g % 19) * interval '1 day' FROM generate_series(1, 400) AS g"
        )
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud)"
            " SELECT user_id, transaction_id, true FROM transactions WHERE NOT is_history AND user_id % 10 = 0"
        )
        # A correction: the latest finding counts.
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT user_id, transaction_id, false, now() + interval '1 second' FROM transactions"
            " WHERE NOT is_history AND user_id = 10"
        )
        connection.execute("SELECT pg_sleep(1.1)")
        days = connection.execute(
            "SELECT is_mature, sum(row_count), sum(labeled_count), sum(frauds)"
            " FROM features.monitoring_outcomes_daily GROUP BY 1 ORDER BY 1"
        ).fetchall()
    (_, young, labeled_young, _), (_, old, labeled_old, frauds_old) = days
    assert young == labeled_young, "of young days only labeled rows count"
    assert old > labeled_old >= frauds_old > 0


def test_the_challengers_view_compares_both_on_the_same_rows(scored: Workspace) -> None:
    small = train_small(scored, 1)
    deploy(scored.url, scored.settings, small, role="challenger", canary_percent=20, force=True)
    insert_rows(scored, 300)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT second_version, row_count, decided_by_second, error_count, disagreements >= 0, mean_difference > 0"
            " FROM features.monitoring_challenger_daily"
        ).fetchall()
        canary = connection.execute(
            "SELECT count(*) FROM transactions WHERE NOT is_history AND model_version = %s", [small]
        ).fetchone()
    assert canary is not None
    assert rows == [(small, 300, canary[0], 0, True, True)]


def test_without_the_views_it_says_what_to_run(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("DROP VIEW features.monitoring_alarms")
    with pytest.raises(SchemaError, match="the monitoring views are not built; run: rowguard features"):
        monitor(scored.url)
