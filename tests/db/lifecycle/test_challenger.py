"""Champion and challenger: shadow scores, canary, promotion, and what must never happen."""

from __future__ import annotations

import shutil

import pytest

from rowguard.errors import RegistryError
from sql_scoring import registry
from sql_scoring.deployment import restore_missing_files
from sql_scoring.deployment.migrate import migrate_models
from tests.db.lifecycle.models import champion_of, insert_rows, train_small
from tests.fix_database import Workspace
from trainer.retrain import deploy, promote, retire_challenger, rollback, verify

pytestmark = pytest.mark.slow

SPLIT = """
    SELECT model_version, shadow_version, count(*), count(shadow_probability), count(shadow_error),
        count(DISTINCT user_id)
    FROM transactions WHERE NOT is_history GROUP BY 1, 2 ORDER BY 3 DESC
"""


def challenge(workspace: Workspace, version: str, canary: float = 0.0) -> None:
    deploy(
        workspace.url,
        workspace.settings,
        version,
        role="challenger",
        canary_percent=canary,
        force=True,
    )


def test_a_challenger_scores_every_row_and_decides_none(scored: Workspace) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    challenge(scored, second)
    insert_rows(scored)
    with scored.connect() as connection:
        assert connection.execute(SPLIT).fetchall() == [(champion, second, 400, 400, 0, 300)]
        differ = connection.execute(
            "SELECT count(*) FROM transactions WHERE shadow_probability <> fraud_probability"
        ).fetchone()
    assert differ != (0,)
    report = verify(scored.url, scored.settings)
    assert report.is_ok
    assert report.checks["replayed_shadow_scores"] == 400
    assert report.checks["shadow_score_differences"] == 0


def test_a_canary_decides_a_stable_share_of_users_and_every_row_replays(scored: Workspace) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    challenge(scored, second, canary=30)
    insert_rows(scored, 900)
    with scored.connect() as connection:
        rows = connection.execute(SPLIT).fetchall()
        deciders = connection.execute(
            "SELECT max(n), count(*) FILTER (WHERE is_canary) FROM ("
            " SELECT count(DISTINCT model_version) AS n, bool_and(model_version = %s) AS is_canary"
            " FROM transactions WHERE NOT is_history GROUP BY user_id) AS per_user",
            [second],
        ).fetchone()
        records = {version: registry.get_model(connection, version) for version in (champion or "", second)}
        for version, record in records.items():
            wrong = connection.execute(
                f"SELECT count(*) FROM transactions WHERE model_version = %s"
                f" AND {record.function_name}(feature_values) IS DISTINCT FROM fraud_probability".encode(),
                [version],
            ).fetchone()
            assert wrong == (0,)
        # The decision follows the decider's own threshold, and a caller who only asks gets the same answer.
        flags = connection.execute(
            "SELECT count(*) FROM transactions AS t JOIN scoring.models AS m ON m.version = t.model_version"
            " WHERE (t.fraud_flag = 'FRAUD') <> (t.fraud_probability >= m.threshold)"
        ).fetchone()
        asked = connection.execute(
            "SELECT count(*) FILTER (WHERE (score_transaction(user_id => user_id, amount => 1)).model_version"
            " = model_version), count(*) FROM (SELECT DISTINCT user_id, model_version FROM transactions"
            " WHERE NOT is_history) AS t"
        ).fetchone()
    assert {(decided, shadow) for decided, shadow, *_ in rows} == {(champion, second), (second, champion)}
    assert sum(row[2] for row in rows) == sum(row[3] for row in rows) == 900
    assert deciders is not None and deciders[0] == 1 and 60 <= deciders[1] <= 120
    assert flags == (0,) and asked == (300, 300)
    report = verify(scored.url, scored.settings)
    assert report.is_ok and report.checks["replayed_shadow_scores"] > 500


@pytest.mark.parametrize("canary", [0, 100])
def test_a_challenger_that_fails_never_touches_the_decision(scored: Workspace, canary: float) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    challenge(scored, second, canary=canary)
    with scored.connect() as connection:
        connection.execute(
            f"CREATE OR REPLACE FUNCTION scoring.{second}(features real[]) RETURNS double precision LANGUAGE plpgsql"
            " SET search_path = pg_catalog AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$".encode()
        )
    insert_rows(scored, 50)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT model_version, unscored_reason, shadow_version, shadow_probability, shadow_error"
            " FROM transactions WHERE NOT is_history"
        ).fetchall()
    assert rows == [(champion, None, second, None, "P0001: broken")]


def test_a_shadow_score_that_runs_out_of_time_keeps_the_decision(scored: Workspace) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    challenge(scored, second, canary=0)
    with scored.connect() as connection:
        connection.execute(
            f"CREATE OR REPLACE FUNCTION scoring.{second}(features real[]) RETURNS double precision LANGUAGE plpgsql"
            " SET search_path = pg_catalog AS $$ BEGIN PERFORM pg_sleep(60); RETURN 0; END $$".encode()
        )
        connection.execute("SET statement_timeout = '5s'")
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 10)"
            " RETURNING model_version, unscored_reason, left(shadow_error, 5)"
        ).fetchone()
    assert row == (champion, None, "57014")


def test_promotion_ends_the_shadow_deployment_and_a_rollback_returns_to_the_previous_champion(
    scored: Workspace,
) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    with pytest.raises(RegistryError, match="there is no challenger to promote"):
        promote(scored.url, scored.settings)
    challenge(scored, second, canary=10)
    done = promote(scored.url, scored.settings)
    assert (done.version, done.previous, done.challenger) == (second, champion, None)
    insert_rows(scored, 100)
    with scored.connect() as connection:
        assert connection.execute(SPLIT).fetchall() == [(second, None, 100, 0, 0, 100)]
        states = {model.version: model.state for model in registry.list_models(connection)}
    assert states == {champion: "retired", second: "champion"}
    assert rollback(scored.url, scored.settings).version == champion


def test_retiring_the_challenger_keeps_its_shadow_scores(scored: Workspace) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    with pytest.raises(RegistryError, match="there is no challenger"):
        retire_challenger(scored.url, scored.settings)
    challenge(scored, second)
    insert_rows(scored, 20)
    retire_challenger(scored.url, scored.settings)
    insert_rows(scored, 30)
    with scored.connect() as connection:
        assert connection.execute(SPLIT).fetchall() == [
            (champion, None, 30, 0, 0, 30),
            (champion, second, 20, 20, 0, 20),
        ]


def test_a_new_champion_leaves_the_challenger_where_it_is(scored: Workspace) -> None:
    second, third = train_small(scored, 1), train_small(scored, 2)
    challenge(scored, second)
    done = deploy(scored.url, scored.settings, third, force=True)
    assert (done.version, done.challenger) == (third, second)
    insert_rows(scored, 20)
    with scored.connect() as connection:
        assert connection.execute(SPLIT).fetchall() == [(third, second, 20, 20, 0, 20)]


def test_a_fresh_database_repeats_a_shadow_deployment_by_the_files(
    scored: Workspace, migrated: Workspace
) -> None:
    second = train_small(scored, 1)
    challenge(scored, second)
    challenge(scored, second, canary=100)
    promote(scored.url, scored.settings)
    rollback(scored.url, scored.settings)
    challenge(scored, second, canary=5)
    shutil.rmtree(scored.settings.models_dir)
    assert len(restore_missing_files(scored.url, scored.settings.models_dir)) == 6
    shutil.copytree(scored.settings.models_dir, migrated.settings.models_dir, dirs_exist_ok=True)
    assert migrate_models(migrated.url, migrated.settings.models_dir) == 6
    states = (
        "SELECT version, state, state_reason, canary_percent, sql_text FROM scoring.models ORDER BY version"
    )
    revisions = "SELECT to_jsonb(r) - 'applied_at' FROM scoring.model_revisions AS r ORDER BY position"
    with scored.connect() as here, migrated.connect() as there:
        for query in (states, revisions):
            assert there.execute(query).fetchall() == here.execute(query).fetchall()


def test_a_challenger_that_cannot_be_deployed_is_rejected(scored: Workspace, migrated: Workspace) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    assert champion is not None
    with pytest.raises(RegistryError, match="it cannot challenge itself"):
        challenge(scored, champion)
    challenge(scored, second, canary=5)
    with pytest.raises(RegistryError, match="is the challenger already, with a canary of 5 %"):
        challenge(scored, second, canary=5)
    with pytest.raises(RegistryError, match="0 to 100, not 101"):
        challenge(scored, second, canary=101)


def test_shadow_columns_that_a_client_sends_are_dropped(
    scored: Workspace,
) -> None:
    insert = (
        "INSERT INTO transactions (user_id, amount, is_control, shadow_version, shadow_probability,"
        " shadow_feature_values, shadow_error) VALUES (1, 1, true, 'mine', 0.5, '{1}', 'x')"
        " RETURNING is_control, shadow_version, shadow_probability, shadow_feature_values, shadow_error"
    )
    for role in (None, "rowguard_app"):
        with scored.connect(role) as connection:
            assert connection.execute(insert).fetchone() == (False, None, None, None, None)


def test_a_row_that_is_not_inserted_leaves_no_shadow_score(scored: Workspace) -> None:
    challenge(scored, train_small(scored, 1))
    insert = (
        "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (1, 1, 'k')"
        " ON CONFLICT DO NOTHING RETURNING shadow_version"
    )
    with scored.connect() as connection:
        assert connection.execute(insert).fetchone() is not None
        assert connection.execute(insert).fetchone() is None
        rows = connection.execute(
            "SELECT count(*) FROM transactions WHERE shadow_version IS NOT NULL"
        ).fetchone()
    assert rows == (1,)
