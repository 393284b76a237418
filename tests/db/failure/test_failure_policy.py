"""On any error while scoring the row is stored with its reason, or rejected; never lost, never late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.fix_database import Workspace
from tests.user_keys import user
from tests.waiting import assert_quicker, wait_for_sessions

INSERT = (
    "INSERT INTO transactions (user_id, amount) VALUES (%s, 10)"
    " RETURNING fraud_flag, unscored_reason, model_version, feature_values"
)
BODIES = {
    "NULL": "RETURN NULL;",
    "NaN": "RETURN 'NaN';",
    "above 1": "RETURN 1.5;",
    "negative": "RETURN -0.1;",
}


def champion(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
    assert row is not None
    return str(row[0])


def feature_function(connection: psycopg.Connection) -> str:
    row = connection.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'features'::regnamespace"
        " AND p.proname LIKE 'live_feature_values%%'"
    ).fetchone()
    assert row is not None
    return str(row[0])


def replace_scoring(connection: psycopg.Connection, body: str) -> None:
    connection.execute(
        f"CREATE OR REPLACE FUNCTION scoring.{champion(connection)}(features real[]) RETURNS double precision"
        f" LANGUAGE plpgsql AS $$ BEGIN {body} END $$".encode()
    )


def break_things(connection: psycopg.Connection, what: str) -> str:
    """Break scoring; return the start of the reason."""
    if what == "model function missing":
        connection.execute(f"DROP FUNCTION scoring.{champion(connection)}(real[])".encode())
        return "42883: function scoring.rf_"
    if what == "feature function missing":
        connection.execute(f"DROP FUNCTION {feature_function(connection)} CASCADE".encode())
        return "42883: function features.live_feature_values_"
    if what == "table of profiles missing":
        connection.execute("ALTER TABLE users RENAME TO gone")
        return '42P01: relation "public.users" does not exist'
    if what == "function fails":
        replace_scoring(connection, "RETURN 1 / 0;")
        return "22012: division by zero"
    replace_scoring(connection, BODIES[what])
    return "XX001: model rf_"


CAUSES = [
    "model function missing", "feature function missing", "table of profiles missing", "function fails", *BODIES
]  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_row_that_cannot_be_scored_is_stored_with_its_reason_or_rejected(
    scored: Workspace, cause: str
) -> None:
    with scored.connect() as owner, scored.connect("rowguard_app") as client:
        assert client.execute(INSERT, [5]).fetchone()[0] is not None  # type: ignore[index]
        begins = break_things(owner, cause)
        row = client.execute(INSERT, [5]).fetchone()
        assert row is not None and (row[0], row[2], row[3]) == (None, None, None)
        assert row[1].startswith(begins)
        listed = client.execute("SELECT user_id, reason FROM unscored_transactions").fetchall()
        assert listed == [(user(5), row[1])]
        owner.execute("SELECT scoring.set_failure_policy('fail_closed')")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is rejected: " + begins[:6]):
            client.execute(INSERT, [5])
        owner.execute("SELECT scoring.set_failure_policy('fail_open')")
        assert client.execute("SELECT count(*) FROM unscored_transactions").fetchone() == (1,)


def test_without_a_model_rows_are_unscored_or_rejected(migrated: Workspace) -> None:
    with migrated.connect() as owner, migrated.connect("rowguard_app") as client:
        assert client.execute(INSERT, [5]).fetchone() == (None, None, None, None)
        assert client.execute("SELECT reason FROM unscored_transactions").fetchall() == [
            ("no model was deployed",)
        ]
        owner.execute("SELECT scoring.set_failure_policy('fail_closed')")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no model is deployed yet"):
            client.execute(INSERT, [5])


@contextmanager
def held(workspace: Workspace, statement: str) -> Iterator[None]:
    """Another transaction that hangs while it holds a lock."""
    with workspace.connect() as other, other.transaction():
        other.execute(statement.encode())
        yield


USER_LOCK = "INSERT INTO transactions (user_id, amount) VALUES (5, 1)"
STUCK = {
    "a table that features read": "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
    "a table that dbt builds": "DO $$ BEGIN EXECUTE (SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', c.oid::regclass)"
    " FROM pg_class AS c WHERE c.relkind = 'r' AND c.relname LIKE 'merchant_risk_%'); END $$",
}


@pytest.mark.parametrize("lock", STUCK)
def test_a_stuck_lock_delays_an_insert_by_a_bounded_time(scored: Workspace, lock: str) -> None:
    with scored.connect() as owner, scored.connect("rowguard_app") as client:
        owner.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 200)")
        with held(scored, STUCK[lock]):

            def insert() -> None:
                began = time.monotonic()
                row = client.execute(INSERT, [5]).fetchone()
                assert time.monotonic() - began > 0.19
                assert row is not None and row[0] is None
                assert row[1].startswith("55P03: canceling statement due to lock timeout")

            assert_quicker(2, insert)
            owner.execute("SELECT scoring.set_failure_policy('fail_closed')")
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is rejected: 55P03"):
                client.execute(INSERT, [5])
        # Nothing is stuck afterwards, and the client's own settings are as they were.
        assert client.execute(INSERT, [5]).fetchone()[0] is not None  # type: ignore[index]
        assert client.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_stuck_user_lock_delays_an_insert_by_a_bounded_time_and_it_is_decided(scored: Workspace) -> None:
    """Whatever the policy is: a lock that does not come is no failure."""
    with scored.connect() as owner, scored.connect("rowguard_app") as client:
        owner.execute("SELECT scoring.set_failure_policy('fail_closed', 200)")
        # An application's own settings change nothing of it.
        client.execute("SET lock_timeout = '1ms'")
        with held(scored, USER_LOCK):

            def insert() -> None:
                began = time.monotonic()
                row = client.execute(INSERT + ", features_caveat", [5]).fetchone()
                assert time.monotonic() - began > 0.19
                assert row is not None and row[0] is not None and row[1] is None and row[4] == "lock_timeout"

            assert_quicker(2, insert)
            row = client.execute(INSERT + ", features_caveat", [6]).fetchone()  # another user's
            assert row is not None and row[0] is not None and row[4] is None


def test_a_short_wait_is_scored_and_sees_the_row_that_it_waited_for(scored: Workspace) -> None:
    def wait_and_insert() -> None:
        with scored.connect("rowguard_app") as client:
            client.execute(INSERT, [777])

    with scored.connect() as other:
        with other.transaction():
            other.execute(INSERT, [777])
            thread = threading.Thread(target=wait_and_insert)
            thread.start()
            with scored.connect() as watcher:
                wait_for_sessions(watcher, "wait_event = 'advisory'")
        thread.join()
        rows = other.execute(
            "SELECT feature_values[(SELECT position FROM features.feature_definitions"
            " WHERE name = 'user_txn_count_1h')] FROM transactions WHERE user_id = 777 ORDER BY received_at"
        ).fetchall()
    assert rows == [(0,), (1,)]


@pytest.mark.parametrize("policy", ["fail_open", "fail_closed"])
@pytest.mark.parametrize("where", ["model", "user's lock"])
def test_a_statement_whose_time_is_over_ends(scored: Workspace, policy: str, where: str) -> None:
    """A time-out that the client sets cannot buy a payment without a decision."""
    with scored.connect() as owner, scored.connect("rowguard_app") as client:
        client.execute(INSERT, [5])  # what a session's first call takes is not to be part of the time
        owner.execute("SELECT scoring.set_failure_policy(%s, 60000)", [policy])
        if where == "model":
            replace_scoring(owner, "PERFORM pg_sleep(60); RETURN 0.5;")
        client.execute("SET statement_timeout = '1s'")
        with (
            held(scored, USER_LOCK if where == "user's lock" else "SELECT"),
            pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"),
        ):
            client.execute(INSERT, [5])
        assert owner.execute(
            "SELECT count(*) FROM transactions WHERE user_id = 5 AND NOT is_history AND model_version IS NULL"
        ).fetchone() == (0,)


@pytest.mark.parametrize("timeout", ["0", "10min"])
def test_who_cancels_gets_the_cancellation(scored: Workspace, timeout: str) -> None:
    with scored.connect() as owner, scored.connect("rowguard_app") as client:
        replace_scoring(owner, "PERFORM pg_sleep(120); RETURN 0.5;")
        client.execute(f"SET statement_timeout = '{timeout}'".encode())

        def cancel() -> None:
            with scored.connect() as watcher:
                wait_for_sessions(watcher, "wait_event = 'PgSleep'")
            client.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute(INSERT, [5])
        canceller.join()
        assert owner.execute("SELECT count(*) FROM unscored_transactions").fetchone() == (0,)


def test_a_failing_statement_of_many_rows_stores_them_all(scored: Workspace) -> None:
    with scored.connect() as owner:
        break_things(owner, "function fails")
        owner.execute(
            "INSERT INTO transactions (user_id, amount) SELECT g %% 300, 1 FROM generate_series(1, 500) AS g".replace(
                "%%", "%"
            )
        )
        assert owner.execute("SELECT count(*) FROM unscored_transactions").fetchone() == (500,)


def test_only_the_owner_changes_the_policy(scored: Workspace) -> None:
    for role in ("rowguard_app", "rowguard_api", "rowguard_trainer", "rowguard_readonly"):
        with scored.connect(role) as client:
            for statement in (
                "SELECT scoring.set_failure_policy('fail_closed')",
                "UPDATE scoring.settings SET failure_mode = 'fail_closed'",
                "SELECT scoring.apply_failure_policy('x', 'y')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    client.execute(statement.encode())


@pytest.mark.parametrize("values", ["'perhaps'", "NULL, 0", "NULL, 600001"])
def test_an_invalid_policy_is_rejected(scored_template: Workspace, values: str) -> None:
    with scored_template.connect() as owner, pytest.raises(psycopg.errors.CheckViolation):
        owner.execute(f"SELECT scoring.set_failure_policy({values})".encode())


def test_the_list_of_unscored_rows_reads_its_own_index(scored: Workspace) -> None:
    with scored.connect() as owner:
        owner.execute("ANALYZE transactions")
        plan = owner.execute("EXPLAIN SELECT count(*) FROM unscored_transactions").fetchall()
    assert any("transactions_unscored_idx" in line for (line,) in plan)
