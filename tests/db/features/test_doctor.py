"""What the doctor finds in a healthy database, and in one where each thing is wrong in turn."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg
import pytest

from rowguard.operations.doctor import Check, DoctorLimits, DoctorReport, diagnose
from tests.db.features.builds import CompiledSql, built_hash8, refresh
from tests.fix_database import Workspace
from tests.stack.cli.conftest import runner

pytestmark = pytest.mark.slow

INSERT = (
    "INSERT INTO transactions (user_id, amount, merchant_id) SELECT g, 10, 7 FROM generate_series(1, 40) AS g"
)


def check(found: DoctorReport, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


def recompute(workspace: Workspace, compiled: CompiledSql) -> None:
    with workspace.connect() as connection:
        refresh(connection, compiled, "merchant_risk", "monitoring_recomputed_features")


def alarms(found: DoctorReport) -> list[str]:
    return [each.name for each in found.alarms]


def test_a_healthy_database(scored: Workspace, default_sql: CompiledSql) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
    recompute(scored, default_sql)
    found = diagnose(scored.url)
    assert {each.name: each.status for each in found.checks} == dict.fromkeys(
        [
            "champion",
            "skew",
            "rollup skew",
            "running totals",
            "unscored rows",
            "features",
            "labels",
            "explanations",
            "merchant risk",
        ],
        "ok",
    )
    skew = check(found, "skew").details
    assert skew["rows_compared"] == 40 and skew["values_differing"] == 0
    assert skew["values_compared"] + check(found, "rollup skew").details["values_compared"] == 40 * 19
    assert check(found, "merchant risk").details["compared"] > 50


def test_skew_is_told_apart_by_how_the_features_are_read(scored: Workspace, default_sql: CompiledSql) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
        positions = dict(
            connection.execute("SELECT name, position FROM features.feature_definitions").fetchall()
        )
        for name, users in (("user_txn_count_7d", 2), ("merchant_fraud_rate_7d", 3)):
            connection.execute(
                f"UPDATE transactions SET feature_values[{positions[name]}] = 99"
                " WHERE model_version IS NOT NULL AND user_id <= %s",
                [users],
            )
    recompute(scored, default_sql)
    found = diagnose(scored.url, DoctorLimits(rollup_skew=0.05))
    assert alarms(found) == ["skew", "rollup skew"]
    assert check(found, "skew").details["values_differing"] == 2
    assert check(found, "skew").details["features_differing"] == ["user_txn_count_7d"]
    assert check(found, "rollup skew").details["features_differing"] == ["merchant_fraud_rate_7d"]
    assert check(found, "rollup skew").details["rows_differing"] == 3
    allowed = diagnose(scored.url, DoctorLimits(skewed_rows=2))
    assert [check(allowed, name).status for name in ("skew", "rollup skew")] == ["warning", "warning"]


def test_skew_near_a_row_that_was_stored_without_its_lock(
    scored: Workspace, default_sql: CompiledSql
) -> None:
    """A row that arrived before another one, and was committed after that was decided: its user is not compared, as what
    concurrent transactions saw of each other is not stored. The row is counted."""
    one = "INSERT INTO transactions (user_id, amount) VALUES (%s, %s)"
    with (
        scored.connect() as later,
        psycopg.connect(scored.url) as holder,
        psycopg.connect(scored.url) as waiter,
    ):
        later.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 100)")
        holder.execute(one, [901, 5])
        waiter.execute(one, [901, 7])
        holder.commit()
        later.execute(one, [901, 11])
        waiter.commit()
        for user, amount in ((901, 13), (902, 10)):
            later.execute(one, [user, amount])
    recompute(scored, default_sql)
    found = check(diagnose(scored.url), "skew")
    assert (found.status, found.details["rows_compared"], found.details["rows_differing"]) == ("ok", 1, 0)
    unscored = check(diagnose(scored.url), "unscored rows")
    assert unscored.status == "warning" and "1 of 5 live rows" in unscored.summary
    assert "lock_timeout" in unscored.summary


def test_broken_totals_are_an_alarm_and_pending_ones_a_warning(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("DELETE FROM transactions WHERE user_id = 3 AND user_txns_before < 2")
        assert check(diagnose(scored.url), "running totals").status == "ok"
        connection.execute(
            "UPDATE transactions SET amount = amount + 1 WHERE user_id = 5 AND user_txns_before = 0"
        )
        pending = check(diagnose(scored.url), "running totals")
        assert pending.status == "warning" and pending.details["users_pending"] == 1
        connection.execute(
            "UPDATE transactions SET user_amount_before = user_amount_before + 0.01"
            " WHERE user_id = 6 AND user_txns_before = 1"
        )
    broken = check(diagnose(scored.url), "running totals")
    assert broken.status == "alarm"
    # Against the row before, and of the row after it.
    assert (broken.details["rows_broken"], broken.details["broken_users"]) == (2, [6])


def test_a_champion_of_another_list(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(
            "CREATE TABLE features.merchant_risk_00000000 AS"
            f" SELECT r.* FROM features.merchant_risk_{built_hash8(connection)} AS r"
        )
        connection.execute("UPDATE features.feature_definitions SET feature_hash = repeat('0', 32)")
    found = diagnose(scored.url)
    assert alarms(found) == ["champion"]
    assert "run: rowguard retrain" in check(found, "champion").summary


def test_rows_without_a_decision(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
        table = f"merchant_risk_{built_hash8(connection)}"
        connection.execute(f"ALTER TABLE features.{table} RENAME TO gone")
        connection.execute("INSERT INTO transactions (user_id, amount, merchant_id) VALUES (1, 10, 7)")
        connection.execute(f"ALTER TABLE features.gone RENAME TO {table}")
    found = diagnose(scored.url)
    assert alarms(found) == ["unscored rows"]
    unscored = check(found, "unscored rows")
    assert (unscored.details["live_rows"], unscored.details["rows_unscored"]) == (41, 1)
    assert "42P01" in unscored.summary


def test_late_labels_and_features_without_values(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(
            "UPDATE fraud_labels SET labelled_at = labelled_at + interval '30 days' WHERE is_fraud"
        )
        connection.execute(
            "DELETE FROM fraud_labels WHERE (user_id, transaction_id) IN (SELECT user_id, transaction_id"
            " FROM transactions ORDER BY occurred_at LIMIT 12)"
        )
        hash8 = built_hash8(connection)
        connection.execute(f"UPDATE features.training_features_{hash8} SET feature_values[1] = NULL")
        connection.execute("UPDATE transactions SET feature_values[1] = NULL")
    found = diagnose(scored.url)
    labels = check(found, "labels")
    assert labels.status == "warning" and labels.details["unlabeled"] == 12
    assert labels.details["late_frauds"] == labels.details["frauds"] > 20
    assert "12 of" in labels.summary and "have no label and count as legitimate" in labels.summary
    assert check(found, "features").status == "warning"
    assert check(found, "features").details["features_missing"] == ["transaction_amount"]


def test_rollups_that_lack_a_build(scored: Workspace, default_sql: CompiledSql) -> None:
    """What became known after the last build is missing: a warning for a day, then an alarm."""
    with scored.connect() as connection, connection.transaction():  # of one moment, also at midnight
        row = connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date").fetchone()
        assert row is not None
        today: date = row[0]
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT t.user_id, t.transaction_id, true, now() FROM transactions AS t"
            " WHERE t.occurred_at BETWEEN now() - interval '15 days' AND now() - interval '12 days'"
        )
    for later, status in ((0, "ok"), (1, "warning"), (2, "alarm")):
        found = diagnose(scored.url, today=today + timedelta(days=later))
        assert check(found, "merchant risk").status == status
    assert "run: rowguard features" in check(found, "merchant risk").summary
    recompute(scored, default_sql)
    assert alarms(diagnose(scored.url, today=today + timedelta(days=2))) == []


def test_without_a_model_the_doctor_says_so(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute(INSERT)
    found = diagnose(migrated.url)
    assert check(found, "champion").status == "warning" and alarms(found) == []


def test_the_command_ends_with_one_line_on_an_alarm(scored: Workspace) -> None:
    run = runner(scored.settings.state_dir, DATABASE_URL=scored.url)
    well = run("doctor", "--json").document()
    assert well["is_ok"] and well["checks"][0]["name"] == "champion"
    with scored.connect() as connection:
        connection.execute(
            "UPDATE transactions SET user_txns_before = 99 WHERE user_id = 6 AND user_txns_before = 1"
        )
    ill = run("doctor", "--json")
    assert ill.refusal().startswith("running totals: ")
    assert '"is_ok": false' in ill.out
