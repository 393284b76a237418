"""The step that distributes the tables. Citus itself cannot be installed here: a stub records what it would be asked."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.fix_database import Workspace

STUB = Path(__file__).parent / "citus_stub.sql"
EXPECTED = [
    "reference scoring.settings",
    "reference scoring.models",
    "reference scoring.let_through_shares",
    "public.transactions by user_id with default",
    "public.fraud_labels by user_id with public.transactions",
    "public.users by user_id with public.transactions",
    "scoring.user_home_history by user_id with public.transactions",
    "scoring.rescored_transactions by user_id with public.transactions",
]
DISTRIBUTED = {
    "public.transactions", "public.fraud_labels", "public.users", "scoring.user_home_history",
    "scoring.rescored_transactions",
}  # fmt: skip
REFERENCE = {"scoring.settings", "scoring.models", "scoring.let_through_shares"}
# Built by dbt, under the hash of the feature list; the operator's guide says how they become reference tables.
STEPS = re.compile(r"features\.(merchant|user)_risk_[0-9a-f]{8}")
READS = re.compile(r'\b(?:FROM|JOIN)\s+"?(public|scoring|features)"?\."?([a-z_0-9]+)', re.IGNORECASE)


@pytest.fixture
def stubbed(migrated: Workspace) -> Workspace:
    with migrated.connect() as connection:
        connection.execute(STUB.read_text().encode())
    return migrated


def test_without_the_extension_nothing_happens(migrated_template: Workspace) -> None:
    with migrated_template.connect() as connection:
        assert connection.execute("SELECT scoring.distribute()").fetchone() == ([],)


def test_every_table_is_distributed_once_by_user_and_in_the_order_that_foreign_keys_allow(
    stubbed: Workspace,
) -> None:
    with stubbed.connect() as connection:
        done = connection.execute("SELECT scoring.distribute('citus_stub')").fetchone()
        calls = connection.execute(
            "SELECT call, foreign_keys, unsafe_triggers FROM citus_stub.calls ORDER BY number"
        ).fetchall()
        assert [call for call, _, _ in calls] == EXPECTED
        # No local table refers to what is being distributed, and triggers are allowed on it.
        assert all(keys == 0 and triggers == "on" for _, keys, triggers in calls)
        assert done is not None and set(done[0]) == DISTRIBUTED | REFERENCE
        assert connection.execute("SELECT scoring.distribute('citus_stub')").fetchone() == ([],)
        assert connection.execute("SELECT count(*) FROM citus_stub.calls").fetchone() == (len(EXPECTED),)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(
                "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud) VALUES (1, -1, true)"
            )


def test_no_statement_trigger_stays_and_history_is_still_the_owners(stubbed: Workspace) -> None:
    """Citus refuses statement-level triggers on distributed tables."""
    with stubbed.connect() as connection:
        connection.execute("SELECT scoring.distribute('citus_stub')")
        levels = connection.execute(
            "SELECT tgname, tgtype & 1 FROM pg_trigger WHERE tgrelid IN"
            " ('transactions'::regclass, 'users'::regclass, 'fraud_labels'::regclass) AND NOT tgisinternal"
        ).fetchall()
        assert {"score_on_insert", "keep_history_undecided"} <= set(dict(levels)) and all(
            level == 1 for _, level in levels
        )
        history = (
            "INSERT INTO transactions (user_id, amount, occurred_at, received_at, is_history)"
            " VALUES (1, 1, now(), now(), true) RETURNING is_history"
        )
        connection.execute("SET rowguard.load_history = 'on'")
        assert connection.execute(history).fetchone() == (True,)
        connection.execute("SET ROLE rowguard_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only the owner"):
            connection.execute(history.removesuffix(" RETURNING is_history"))


def test_every_table_with_a_user_is_known_to_the_step(migrated_template: Workspace) -> None:
    with migrated_template.connect() as connection:
        rows = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE column_name = 'user_id' AND table_type = 'BASE TABLE' AND table_schema IN ('public', 'scoring')"
        ).fetchall()
    assert {name for (name,) in rows} == DISTRIBUTED


def test_the_trigger_reads_its_own_users_rows_and_reference_tables_only(scored_template: Workspace) -> None:
    with scored_template.connect() as connection:
        functions = connection.execute(
            "SELECT p.proname, p.prosrc FROM pg_proc AS p WHERE p.pronamespace IN"
            " ('scoring'::regnamespace, 'features'::regnamespace)"
            " AND (p.proname IN ('score_on_insert', 'decide_failure', 'score_candidate', 'score_basic')"
            " OR p.proname LIKE 'live\\_feature\\_values%')"
        ).fetchall()
        read = {f"{schema}.{name}" for _, text in functions for schema, name in READS.findall(text)}
        tables = {table for relation in read for table in _base_tables(connection, relation)}
    assert len(functions) >= 5 and "public.transactions" in tables
    others = tables - DISTRIBUTED - REFERENCE
    assert {table for table in others if not STEPS.fullmatch(table)} == set()


def _base_tables(connection: psycopg.Connection, relation: str) -> set[str]:
    """The relation itself, or the tables below a view."""
    kind = connection.execute("SELECT relkind FROM pg_class WHERE oid = %s::regclass", [relation]).fetchone()
    if kind != ("v",):
        return {relation}
    rows = connection.execute(
        "SELECT DISTINCT n.nspname || '.' || c.relname FROM pg_rewrite AS r"
        " JOIN pg_depend AS d ON d.objid = r.oid AND d.refclassid = 'pg_class'::regclass"
        " JOIN pg_class AS c ON c.oid = d.refobjid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE r.ev_class = %s::regclass AND c.oid <> r.ev_class",
        [relation],
    ).fetchall()
    return {table for (name,) in rows for table in _base_tables(connection, name)}
