"""What the trigger calls: bound to the model's own list where that list can, else by way of the other facade."""

from __future__ import annotations

import psycopg
import pytest

from rowguard.operations.control_group import control_rate
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.schema_files import SQL_DIR
from tests.db.lifecycle.models import champion_of, drop_insert_functions, insert_rows, train_small
from tests.fix_database import Workspace
from trainer.retrain import deploy

# Of a user's rows in order, those whose totals are not those of the rows before them.
WRONG_TOTALS = """
    SELECT count(*) FROM (
        SELECT
            user_txns_before IS DISTINCT FROM count(*) OVER before
            OR user_amount_before IS DISTINCT FROM coalesce(sum(amount) OVER before, 0)
            OR user_amount_squares_before IS DISTINCT FROM coalesce(sum(amount * amount) OVER before, 0) AS is_wrong
        FROM transactions
        WINDOW before AS (
            PARTITION BY user_id ORDER BY occurred_at, received_at, transaction_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ) AS t WHERE is_wrong
"""


def test_a_deployed_model_reads_the_last_row_once(scored: Workspace) -> None:
    assert "features.insert_feature_values_" in _facade(scored)
    _insert_one_by_one(scored)
    assert _count(scored, WRONG_TOTALS) == 0
    assert _decided(scored) == {(champion_of(scored), None)}


def test_both_facades_answer_alike(scored: Workspace) -> None:
    deploy(
        scored.url, scored.settings, train_small(scored, 1), role="challenger", canary_percent=40, force=True
    )
    insert_rows(scored, 200)
    with scored.connect() as connection:
        different, versions = connection.execute(
            "SELECT count(*) FILTER (WHERE (d.fraud_probability, d.is_fraud, d.model_version, d.feature_values)"
            " IS DISTINCT FROM (c.fraud_probability, c.is_fraud, c.model_version, c.feature_values)),"
            " count(DISTINCT d.model_version) FROM generate_series(1, 300) AS u,"
            " scoring.decide_insert(u, 12.5, 7, 'DE', now()) AS d,"
            " scoring.score_candidate(u, 12.5, 7, 'DE', now()) AS c"
        ).fetchone() or (None, None)
    assert (different, versions) == (0, 2)


def test_a_list_without_the_triggers_function_is_decided_by_way_of_the_other_facade(
    scored: Workspace,
) -> None:
    """Lists that an earlier release built have none."""
    drop_insert_functions(scored)
    second = train_small(scored, 1)
    deploy(scored.url, scored.settings, second, force=True)
    assert "score_candidate" in _facade(scored)
    _insert_one_by_one(scored)
    assert _count(scored, WRONG_TOTALS) == 0
    assert _decided(scored) == {(second, None)}


def test_after_a_downgrade_the_trigger_follows_the_facade_that_older_revisions_know(
    scored: Workspace,
) -> None:
    first = champion_of(scored)
    deploy(scored.url, scored.settings, train_small(scored, 1), force=True)
    with migrations.transaction(scored.url) as connection:
        migrations.downgrade(connection, "models@-1", [scored.settings.models_dir])
    assert "score_candidate" in _facade(scored)
    insert_rows(scored, 20)
    assert _decided(scored) == {(first, None)}


@pytest.mark.parametrize("share", [0, 1])
def test_by_way_of_the_other_facade_a_challenger_still_gives_its_opinion(
    scored: Workspace, share: float
) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    deploy(scored.url, scored.settings, second, role="challenger", force=True)
    control_rate(scored.url, share)
    with scored.connect() as connection:
        connection.execute((SQL_DIR / "functions" / "decide_insert.sql").read_bytes())
        # Every row is an alert.
        body = connection.execute("SELECT pg_get_functiondef('scoring.score_candidate'::regproc)").fetchone()
        assert body is not None
        connection.execute(body[0].replace("v_probability >= ", "v_probability >= 0 * ").encode())
    insert_rows(scored, 20)
    assert _decided(scored) == {(champion, second)}
    # Older second opinions would drop the mark of a row that is let through, so none is.
    with scored.connect() as connection:
        flags = connection.execute(
            "SELECT DISTINCT fraud_flag, is_let_through FROM transactions WHERE NOT is_history"
        ).fetchall()
    assert flags == [("FRAUD", False)]


def test_a_row_whose_decision_failed_has_its_totals(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION scoring.decide_insert(p_user_id bigint, p_amount numeric, p_merchant_id bigint,"
            " p_location text, p_occurred_at timestamptz) RETURNS scoring.insert_decision LANGUAGE plpgsql STABLE"
            " SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$"
        )
    _insert_one_by_one(scored)
    assert _count(scored, WRONG_TOTALS) == 0
    assert _count(scored, "SELECT count(*) FROM transactions WHERE unscored_reason = 'P0001: broken'") == 30


def test_snapshots_that_may_miss_the_last_row_write_no_totals(scored: Workspace) -> None:
    with psycopg.connect(scored.url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 5) RETURNING user_txns_before, fraud_flag"
        ).fetchone()
        assert row is not None and row[0] is None and row[1] is not None


def _insert_one_by_one(workspace: Workspace) -> None:
    with workspace.connect() as connection:
        for number in range(30):
            connection.execute(
                "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (%s, %s, 7, 'DE')",
                [900_000 + number % 3, 1 + number],
            )


def _facade(workspace: Workspace) -> str:
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT prosrc FROM pg_proc WHERE oid = 'scoring.decide_insert'::regproc"
        ).fetchone()
    assert row is not None
    return str(row[0])


def _decided(workspace: Workspace) -> set[tuple[str | None, str | None]]:
    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT model_version, shadow_version FROM transactions WHERE NOT is_history"
        ).fetchall()
    return {(decided, shadow) for decided, shadow in rows}


def _count(workspace: Workspace, query: str) -> int:
    with workspace.connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
