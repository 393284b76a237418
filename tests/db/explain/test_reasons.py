"""Reasons of stored decisions: words, codes on rows, errors, and what would have let an alert pass."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from rowguard.database import fetch_one
from rowguard.errors import ExplanationError
from rowguard.local import find_postgres_binaries
from rowguard.operations.doctor import diagnose
from rowguard.operations.reasons import build_explanation, explain, explain_alerts
from sql_scoring import registry
from tests.db.lifecycle.models import champion_of, flag_everything, insert_rows, train_small
from tests.fix_database import Workspace, _database
from tests.user_keys import user
from trainer.retrain import deploy

# A large amount far from home, at a merchant with frauds.
SUSPICIOUS = (
    "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (7, 4900, 3, 'BR')"
    " RETURNING transaction_id, fraud_probability, reason_codes"
)


def _insert(workspace: Workspace) -> tuple[Any, ...]:
    with workspace.connect() as connection:
        return fetch_one(connection, SUSPICIOUS)


def test_a_decision_is_explained_from_its_row(scored: Workspace) -> None:
    transaction, probability, codes = _insert(scored)
    assert codes is None
    document = explain(scored.url, user(7), transaction)
    total = document["base_value"] + sum(row["contribution"] for row in document["contributions"])
    assert abs(total - probability) <= 1e-12
    assert document["fraud_probability"] == probability
    assert (
        document["base"] == "average score over the training rows"
        and document["background"] == "training rows"
    )
    assert document["catalog"].startswith("en-1-")
    sizes = [abs(row["contribution"]) for row in document["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    amount = next(row for row in document["contributions"] if row["feature"] == "transaction_amount")
    assert amount["value"] == 4900 and amount["reason_code"] == "amount_high"
    assert amount["reason"].startswith("The amount is high: 4900, usually ")
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT * FROM explain_transaction(%s, %s, 3)", [user(7), transaction]
        ).fetchall()
    assert [list(row) for row in rows] == [
        [row[name] for name in ("rank", "feature", "value", "contribution", "reason_code", "reason")]
        for row in document["contributions"][:3]
    ]


def test_reasons_are_themes_that_raised_the_score(scored: Workspace) -> None:
    insert_rows(scored, 200)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT explanation(user_id, transaction_id), fraud_probability FROM transactions"
            " WHERE model_version IS NOT NULL"
        ).fetchall()
    assert any(document["reasons"] for document, _ in rows)
    for document, probability in rows:
        reasons = document["reasons"]
        assert len(reasons) <= 4
        sums = [reason["contribution"] for reason in reasons]
        assert sums == sorted(sums, reverse=True)
        limit = max(0.01, 0.05 * (probability - document["base_value"]))
        assert all(value >= limit - 1e-12 for value in sums)
        themes = [reason["reason_code"].rpartition("_")[0] for reason in reasons]
        assert len(set(themes)) == len(themes)
        contributions = {row["feature"]: row["contribution"] for row in document["contributions"]}
        for reason in reasons:
            assert reason["features"] and all(contributions[name] > 0 for name in reason["features"])
            assert reason["reason"]


def test_many_rows_in_one_statement(scored: Workspace) -> None:
    insert_rows(scored, 50)
    with scored.connect() as connection:
        keys = connection.execute(
            "SELECT array_agg(user_id), array_agg(transaction_id) FROM transactions WHERE model_version IS NOT NULL"
        ).fetchone()
        assert keys is not None
        many = connection.execute("SELECT * FROM explain_transactions(%s, %s, 4)", keys).fetchall()
        singles = [
            (user, transaction, *row)
            for user, transaction in zip(*keys, strict=True)
            for row in connection.execute("SELECT * FROM explain_transaction(%s, %s, 4)", [user, transaction])
        ]
    assert len(singles) == 4 * len(keys[0]) and sorted(many) == sorted(singles)


ERRORS = {
    "no such row": (
        f"SELECT * FROM explain_transaction('{user(7)}', 0)",
        "P0002",
        f"user {user(7)} has no transaction 0",
    ),
    "history": (
        "SELECT e.* FROM (SELECT * FROM transactions WHERE is_history LIMIT 1) AS t,"
        " LATERAL explain_transaction(t.user_id, t.transaction_id) AS e",
        "55000",
        "has no decision: it was imported as history",
    ),
    "another length": (
        "SELECT * FROM explain_features('{1,2,3}')",
        "2202E",
        "takes an array of 19 features, not one",
    ),
    "two dimensions": (
        "SELECT * FROM explain_features('{{1},{2}}')",
        "2202E",
        "takes an array of 19 features",
    ),
    "no array": ("SELECT * FROM explain_features(NULL)", "22004", "feature_values is required"),
    "no such model": ("SELECT * FROM explain_features('{1}', 'rf_no')", "42704", "there is no model rf_no"),
    "base of no model": ("SELECT base_value('rf_no')", "42704", "there is no model rf_no"),
    "top of zero": (
        "SELECT e.* FROM (SELECT array_fill(1::real, '{19}') AS v) AS x, LATERAL explain_features(x.v, NULL, 0) AS e",
        "22003",
        "top is 0",
    ),
    "arrays of two lengths": (
        f"SELECT * FROM explain_transactions('{{{user(1)},{user(2)}}}', '{{1}}')",
        "2202E",
        "not of 2 and 1",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_clear_line(scored: Workspace, name: str) -> None:
    statement, sqlstate, message = ERRORS[name]
    with scored.connect() as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute(statement.encode()).fetchall()
    assert raised.value.sqlstate == sqlstate
    assert message in (raised.value.diag.message_primary or "")


def test_before_any_model(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        row = fetch_one(
            connection, "INSERT INTO transactions (user_id, amount) VALUES (1, 1) RETURNING transaction_id"
        )
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no model is deployed yet"):
            connection.execute("SELECT base_value()")
    with pytest.raises(ExplanationError, match="has no decision: no model was deployed"):
        explain(migrated.url, user(1), row[0])


def test_a_pruned_model_is_named_and_can_be_built_again(scored: Workspace) -> None:
    first = champion_of(scored)
    assert first is not None
    transaction, _, _ = _insert(scored)
    before = explain(scored.url, user(7), transaction)
    deploy(scored.url, scored.settings, train_small(scored, 1), force=True)
    with scored.connect() as connection:
        assert fetch_one(connection, "SELECT count(*) FROM scoring.explanations")[0] == 2
        registry.prune_model(connection, registry.get_model(connection, first))
    with pytest.raises(
        ExplanationError, match=f"the explanation of model {first} is not built: the model was pruned"
    ):
        explain(scored.url, user(7), transaction)
    with scored.connect() as connection:
        for table in ("features", "masks", "states"):
            query = f"SELECT count(DISTINCT model_id) FROM scoring.explanation_{table}"
            assert fetch_one(connection, query)[0] == 1
    assert build_explanation(scored.url, first)
    assert explain(scored.url, user(7), transaction) == before


def test_reason_codes_are_written_with_the_alert_while_set(scored: Workspace) -> None:
    flag_everything(scored)
    assert _insert(scored)[2] is None
    report = explain_alerts(scored.url, 1, on_alerts=True)
    assert report.on_alerts and report.alerts == report.explained == 1 and not report.without
    transaction, _, codes = _insert(scored)
    expected = [reason["reason_code"] for reason in explain(scored.url, user(7), transaction)["reasons"]]
    assert codes == expected
    with scored.connect() as connection:
        # The job gave the first row, and the trigger the second one, what the explanation says.
        for row in connection.execute(
            "SELECT transaction_id, reason_codes FROM transactions WHERE NOT is_history"
        ):
            assert row[1] == [r["reason_code"] for r in explain(scored.url, user(7), row[0])["reasons"]]
        # What a client sends is ignored.
        sent = fetch_one(
            connection,
            "INSERT INTO transactions (user_id, amount, reason_codes) VALUES (7, 3, '{mine}') RETURNING reason_codes",
        )
        assert sent[0] != ["mine"]
        # No error of an explanation costs a payment.
        connection.execute("DELETE FROM scoring.explanations")
        assert fetch_one(connection, SUSPICIOUS)[2] is None
    assert not explain_alerts(scored.url, 1, on_alerts=False).on_alerts
    with scored.connect("rowguard_app") as connection:
        sent = fetch_one(
            connection,
            "INSERT INTO transactions (user_id, amount, reason_codes) VALUES (7, 3, '{mine}') RETURNING reason_codes",
        )
        assert sent == (None,)


def test_single_changes_let_an_alert_pass(scored: Workspace) -> None:
    champion = champion_of(scored)
    assert champion is not None
    with scored.connect() as connection:
        record = registry.get_model(connection, champion)
        insert_rows(scored, 400)
        # A threshold at which some rows are alerts by a small margin.
        threshold = fetch_one(
            connection,
            "SELECT percentile_disc(0.8) WITHIN GROUP (ORDER BY fraud_probability) FROM transactions"
            " WHERE model_version IS NOT NULL",
        )[0]
        connection.execute("UPDATE scoring.models SET threshold = %s", [threshold])
        alerts = connection.execute(
            "SELECT user_id, transaction_id, feature_values FROM transactions WHERE fraud_probability >= %s",
            [threshold],
        ).fetchall()
        passing = connection.execute(
            "SELECT user_id, transaction_id FROM transactions WHERE fraud_probability < %s LIMIT 1",
            [threshold],
        ).fetchone()
        assert passing is not None and alerts
        assert connection.execute("SELECT * FROM passing_changes(%s, %s)", passing).fetchall() == []
        changes = 0
        for user, transaction, values in alerts[:20]:
            for feature, value, changed, score, _ in connection.execute(
                "SELECT * FROM passing_changes(%s, %s)", [user, transaction]
            ):
                position = record.feature_names.index(feature)
                assert np.float32(values[position]) == np.float32(value)
                edited = [*values[:position], changed, *values[position + 1 :]]
                query = f"SELECT scoring.{champion}(%(values)s::real[])"
                found = fetch_one(connection, query, {"values": edited})[0]
                assert found == score < threshold
                changes += 1
    assert changes


def test_the_doctor_adds_up_the_day(scored: Workspace) -> None:
    flag_everything(scored)
    insert_rows(scored, 60)
    check = next(check for check in diagnose(scored.url).checks if check.name == "explanations")
    assert check.status == "ok" and check.details["alerts"] == check.details["alerts_explained"] > 50
    with scored.connect() as connection:
        connection.execute("UPDATE scoring.explanations SET base_value = base_value + 1e-9")
    check = next(check for check in diagnose(scored.url).checks if check.name == "explanations")
    assert check.status == "alarm" and "do not add up" in check.summary


def test_a_deployment_whose_contributions_do_not_add_up_is_rejected(scored: Workspace) -> None:
    champion, candidate = champion_of(scored), train_small(scored, 1)
    with scored.connect() as connection:
        connection.execute(
            "UPDATE scoring.models SET explanation = jsonb_set(explanation::jsonb, '{base_value}', '0.5')::text"
            " WHERE version = %s",
            [candidate],
        )
    with pytest.raises(ExplanationError, match="differ from its output by 0"):
        deploy(scored.url, scored.settings, candidate, force=True)
    assert champion_of(scored) == champion


def test_the_api_role_explains_without_reading_values(scored: Workspace) -> None:
    transaction, _, _ = _insert(scored)
    with scored.connect() as connection:
        connection.execute("REVOKE SELECT (feature_values) ON transactions FROM rowguard_api")
    with scored.connect("rowguard_api") as connection:
        assert connection.execute(
            "SELECT * FROM explain_transaction(%s, %s)", [user(7), transaction]
        ).fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT feature_values FROM transactions LIMIT 1")
    with (
        scored.connect("rowguard_app") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT * FROM explain_transaction(%s, %s)", [user(7), transaction])


def test_a_restored_database_explains_with_the_same_bits(
    scored: Workspace, server_url: str, tmp_path: Path
) -> None:
    programs = find_postgres_binaries()
    if not (programs / "pg_dump").exists():
        pytest.skip("pg_dump is not installed")
    insert_rows(scored, 100)
    query = "SELECT explanation(user_id, transaction_id) FROM transactions WHERE model_version IS NOT NULL ORDER BY 1"
    with scored.connect() as connection:
        before = connection.execute(query).fetchall()
    dump = tmp_path / "dump"
    subprocess.run([programs / "pg_dump", "--format=custom", f"--file={dump}", scored.url], check=True)
    with _database(server_url) as url:
        restore = [str(programs / "pg_restore"), "--exit-on-error", f"--dbname={url}", str(dump)]
        subprocess.run(restore, check=True)
        with psycopg.connect(url) as connection:
            assert connection.execute(query).fetchall() == before
            # Built again from the document, they are the same rows.
            connection.execute("SELECT scoring.build_explanation(version) FROM scoring.explanations")
            assert connection.execute(query).fetchall() == before
    assert len(before) >= 100
