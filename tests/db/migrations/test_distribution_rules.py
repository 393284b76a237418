"""The schema keeps the rules that let the same migrations run on a PostgreSQL sharded by user_id."""

from __future__ import annotations

from tests.fix_database import Workspace

SHARDED = ("transactions", "fraud_labels", "users", "user_home_history", "rescored_transactions")


def test_every_key_of_a_sharded_table_carries_user_id(migrated_template: Workspace) -> None:
    with migrated_template.connect() as connection:
        rows = connection.execute(
            """
            SELECT c.relname, i.indexrelid::regclass::text, array_agg(a.attname::text)
            FROM pg_index AS i
            JOIN pg_class AS c ON c.oid = i.indrelid
            JOIN pg_attribute AS a ON a.attrelid = i.indexrelid
            WHERE c.relname = ANY(%s) AND i.indisunique
            GROUP BY 1, 2
            """,
            [list(SHARDED)],
        ).fetchall()
    assert {table for table, _, _ in rows} == set(SHARDED)
    assert [index for _, index, columns in rows if "user_id" not in columns] == []


def test_foreign_keys_carry_user_id(migrated_template: Workspace) -> None:
    with migrated_template.connect() as connection:
        rows = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
            " AND connamespace IN ('public'::regnamespace, 'scoring'::regnamespace)"
        ).fetchall()
    assert rows
    assert all("(user_id, transaction_id)" in definition for (definition,) in rows)


def test_there_are_no_identity_columns(migrated_template: Workspace) -> None:
    with migrated_template.connect() as connection:
        rows = connection.execute(
            "SELECT attrelid::regclass FROM pg_attribute WHERE attidentity <> ''"
        ).fetchall()
    assert rows == []


def test_what_the_trigger_calls_is_plpgsql_with_a_pinned_path(scored_template: Workspace) -> None:
    with scored_template.connect() as connection:
        rows = connection.execute(
            """
            SELECT p.proname::text, l.lanname::text, p.proretset, coalesce(p.proconfig::text, '')
            FROM pg_proc AS p
            JOIN pg_language AS l ON l.oid = p.prolang
            WHERE p.pronamespace IN ('scoring'::regnamespace, 'features'::regnamespace)
                OR p.proname = 'score_transaction'
            """
        ).fetchall()
    names = {name for name, *_ in rows}
    assert {"score_on_insert", "score_candidate", "score_transaction"} <= names
    assert [name for name, language, *_ in rows if language != "plpgsql"] == []
    assert [name for name, _, is_set, _ in rows if is_set] == []
    # A generated scoring function names pg_catalog in every call instead: a SET clause costs on each one.
    assert [
        name for name, _, _, config in rows if "search_path" not in config and not name.startswith("rf_")
    ] == []
