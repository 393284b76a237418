"""What the doctor finds in a database that is well, and in one where each thing is wrong in turn."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg

from rowguard.operations.doctor import Check, Diagnosis, Limits, diagnose
from rowguard.operations.rescore import rescore
from sql_scoring.features.build import build_features
from tests.fix_database import Workspace
from tests.stack.cli.conftest import runner

INSERT = (
    "INSERT INTO transactions (user_id, amount, merchant_id) SELECT g, 10, 7 FROM generate_series(1, 40) AS g"
)


def check(found: Diagnosis, name: str) -> Check:
    return next(one for one in found.checks if one.name == name)


def alarms(found: Diagnosis) -> list[str]:
    return [one.name for one in found.alarms]


def test_a_database_that_is_well(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
    build_features(scored.url, scored.settings)
    found = diagnose(scored.url)
    assert {one.name: one.status for one in found.checks} == dict.fromkeys(
        ["champion", "skew", "day skew", "running totals", "unscored rows", "merchant risk", "user risk"],
        "ok",
    )
    skew = check(found, "skew").figures
    assert skew["rows_compared"] == 40 and skew["rows_not_built"] == 0 and skew["values_differing"] == 0
    assert skew["values_compared"] + check(found, "day skew").figures["values_compared"] == 40 * 19
    assert check(found, "merchant risk").figures["compared"] > 50


def test_rows_that_are_not_built_yet_are_counted_and_not_compared(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
    skew = check(diagnose(scored.url), "skew")
    assert skew.status == "ok"
    assert (skew.figures["rows_compared"], skew.figures["rows_not_built"]) == (0, 40)


def test_skew_is_told_apart_by_how_the_features_are_read(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
    build_features(scored.url, scored.settings)
    with scored.connect() as connection:
        place = dict(connection.execute("SELECT name, position FROM features.feature_definitions").fetchall())
        for name, users in (("user_txn_count_7d", 2), ("merchant_fraud_rate_7d", 3)):
            connection.execute(
                f"UPDATE transactions SET feature_values[{place[name]}] = 99"
                " WHERE model_version IS NOT NULL AND user_id <= %s",
                [users],
            )
    found = diagnose(scored.url, Limits(day_skew=0.05))
    assert alarms(found) == ["skew", "day skew"]
    assert check(found, "skew").figures["values_differing"] == 2
    assert check(found, "skew").figures["features_differing"] == [
        "merchant_fraud_rate_7d",
        "user_txn_count_7d",
    ]
    assert check(found, "day skew").figures["rows_differing"] == 3
    allowed = diagnose(scored.url, Limits(skewed_rows=2))
    assert [check(allowed, name).status for name in ("skew", "day skew")] == ["warning", "warning"]


def test_skew_beside_a_row_that_was_stored_without_its_lock(scored: Workspace) -> None:
    """Training goes by arrival, and the row that came after it was decided before it was committed: right, and an alarm
    until somebody allows it. The alarm says what it may be, of such rows alone."""
    one = "INSERT INTO transactions (user_id, amount) VALUES (%s, %s)"
    with (
        scored.connect() as later,
        psycopg.connect(scored.url) as holder,
        psycopg.connect(scored.url) as waiter,
    ):
        later.execute("SELECT scoring.set_policy(p_lock_timeout_ms => 100)")
        holder.execute(one, [901, 5])
        waiter.execute(one, [901, 7])
        holder.commit()
        later.execute(one, [901, 11])
        waiter.commit()
        for user, amount in ((901, 13), (902, 10)):
            later.execute(one, [user, amount])
    build_features(scored.url, scored.settings)
    found = check(diagnose(scored.url), "skew")
    assert (found.status, found.figures["rows_compared"]) == ("alarm", 4)
    assert (found.figures["rows_differing"], found.figures["rows_beside_unlocked"]) == (1, 1)
    assert "1 of these rows may have missed one that was stored without its user's lock" in found.summary
    allowed = diagnose(scored.url, Limits(skewed_rows=1))
    assert check(allowed, "skew").status == "warning"
    # Decided later, it no longer says so itself; another user's row and an earlier one of this user are none of it.
    rescore(scored.url, scored.settings)
    with scored.connect() as connection:
        assert connection.execute("SELECT count(*) FROM unscored_transactions").fetchone() == (0,)
        connection.execute(
            "UPDATE transactions SET feature_values[1] = 99"
            " WHERE (user_id = 902 AND amount = 10) OR (user_id = 901 AND amount = 5)"
        )
    found = check(diagnose(scored.url), "skew")
    assert (found.figures["rows_differing"], found.figures["rows_beside_unlocked"]) == (3, 1)


def test_totals_that_do_not_go_on_are_an_alarm_and_open_ones_a_warning(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("DELETE FROM transactions WHERE user_id = 3 AND user_txns_before < 2")
        assert check(diagnose(scored.url), "running totals").status == "ok"
        connection.execute(
            "UPDATE transactions SET amount = amount + 1 WHERE user_id = 5 AND user_txns_before = 0"
        )
        open_ones = check(diagnose(scored.url), "running totals")
        assert open_ones.status == "warning" and open_ones.figures["users_without_totals"] == 1
        connection.execute(
            "UPDATE transactions SET user_amount_before = user_amount_before + 0.01"
            " WHERE user_id = 6 AND user_txns_before = 1"
        )
    broken = check(diagnose(scored.url), "running totals")
    assert broken.status == "alarm"
    # Against the row before, and of the row after it.
    assert (broken.figures["rows_broken"], broken.figures["broken_users"]) == (2, [6])


def test_a_champion_of_another_list(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("UPDATE features.feature_definitions SET feature_hash = repeat('0', 32)")
        for entity in ("merchant", "user"):
            connection.execute(
                f"CREATE TABLE features.{entity}_risk_00000000 AS SELECT r.* FROM"
                f" features.{entity}_risk_{_hash8(scored)} AS r"
            )
    found = diagnose(scored.url)
    assert alarms(found) == ["champion"]
    assert "run: rowguard retrain" in check(found, "champion").summary


def _hash8(workspace: Workspace) -> str:
    with workspace.connect() as connection:
        row = connection.execute("SELECT left(feature_hash, 8) FROM scoring.models").fetchone()
    assert row is not None
    return str(row[0])


def test_rows_without_a_decision(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(INSERT)
        connection.execute(f"ALTER TABLE features.merchant_risk_{_hash8(scored)} RENAME TO gone")
        connection.execute("INSERT INTO transactions (user_id, amount, merchant_id) VALUES (1, 10, 7)")
        connection.execute(f"ALTER TABLE features.gone RENAME TO merchant_risk_{_hash8(scored)}")
    found = diagnose(scored.url)
    assert alarms(found) == ["unscored rows"]
    unscored = check(found, "unscored rows")
    assert (unscored.figures["live_rows"], unscored.figures["rows_unscored"]) == (41, 1)
    assert "42P01" in unscored.summary


def test_days_that_no_build_has_summed_up(scored: Workspace) -> None:
    """The tables are as of the last build: what is known later is missing from them, first for a day, then for good."""
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
    build_features(scored.url, scored.settings)
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
