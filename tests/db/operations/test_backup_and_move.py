"""pg_dump and restore, pg_basebackup, logical replication: the same decisions and the same functions over there."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from rowguard.local import PostgresServer
from rowguard.local.account import give_to_server
from rowguard.local.state import save_state
from sql_scoring.deployment.migrate import migrate
from tests.db.operations.conftest import (
    DECISIONS,
    QUESTIONS,
    create_roles,
    durable_server,
    program,
    rows,
    rows_before,
    settings_with_artifacts,
)
from tests.fix_database import Workspace
from trainer.retrain import verify

pytestmark = pytest.mark.slow

INSERT = (
    "INSERT INTO transactions (user_id, amount) VALUES (7, 12.5) RETURNING model_version, unscored_reason"
)
REPLICATED = (
    "public.transactions, public.users, public.fraud_labels, scoring.users_history, scoring.models,"
    " scoring.model_state_changes, scoring.model_revisions, scoring.alembic_version"
)
WAIT_S = 300


def test_a_restored_dump_decides_alike(
    primary: PostgresServer, dump: Path, scored_template: Workspace, tmp_path: Path
) -> None:
    assert rows(primary.url, DECISIONS) == rows_before[dump]
    assert rows(primary.url, QUESTIONS) == rows(scored_template.url, QUESTIONS)
    settings = settings_with_artifacts(primary.url, tmp_path, scored_template)
    assert migrate(primary.url, settings).model_revisions == 0
    report = verify(primary.url, settings)
    assert report.is_ok and report.checks["replayed_rows"] == 200
    (row,) = rows(scored_template.url, "SELECT version, NULL FROM model_versions WHERE state = 'champion'")
    with psycopg.connect(primary.url, autocommit=True) as connection:
        with connection.transaction(force_rollback=True):
            assert connection.execute(INSERT.encode()).fetchone() == row
            # Rights came along: the application writes and cannot change.
            connection.execute("SET LOCAL ROLE rowguard_app")
            connection.execute(INSERT.encode())
        with connection.transaction(force_rollback=True), pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET LOCAL ROLE rowguard_app")
            connection.execute("UPDATE transactions SET amount = 1")


def test_a_base_backup_is_a_server_with_the_same_decisions(
    primary: PostgresServer, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = primary.directory.parent / "copy"
    folder.mkdir(mode=0o711)
    copy = PostgresServer(folder / "postgres")
    copy.directory.mkdir(mode=0o711)
    try:
        program(
            "pg_basebackup", "-D", copy.directory / "data", "-d", primary.url, "-X", "stream", "-c", "fast"
        )
        save_state(copy.directory, password=primary.password)
        give_to_server(copy.data, *copy.data.rglob("*"))
        copy.ensure_running()
        assert copy.port != primary.port
        assert rows(copy.url, DECISIONS) == rows(primary.url, DECISIONS)
        assert rows(copy.url, QUESTIONS) == rows(primary.url, QUESTIONS)
        settings = settings_with_artifacts(copy.url, tmp_path_factory.mktemp("copy"), scored_template)
        assert migrate(copy.url, settings).model_revisions == 0
        assert verify(copy.url, settings).is_ok
        with copy.connect() as connection:
            assert connection.execute(INSERT.encode()).fetchone()[1] is None  # type: ignore[index]
    finally:
        copy.destroy()


def test_a_logical_replica_takes_decisions_over_and_makes_none(
    primary: PostgresServer, scored_template: Workspace, tmp_path: Path
) -> None:
    """The subscriber's trigger would decide again, at another time: it must not fire."""
    with durable_server() as replica:
        create_roles(replica.url)
        script = tmp_path / "schema.dump"
        # Functions travel with the schema, models' and dbt's too; their tables' rows come by replication or dbt.
        program("pg_dump", "--schema-only", "-Fc", "-f", script, primary.url)
        program("pg_restore", "--no-owner", "--no-publications", "--exit-on-error", "-d", replica.url, script)
        with replica.connect() as there:
            # Were the trigger to fire, it would find no model and leave the decision columns empty.
            there.execute("DELETE FROM scoring.settings")
            _forget_the_model(there)
        with primary.connect() as here, replica.connect() as there:
            here.execute(
                f"CREATE PUBLICATION rowguard_move FOR TABLE {REPLICATED}, scoring.settings".encode()
            )
            there.execute(
                f"CREATE SUBSCRIPTION rowguard_move CONNECTION '{_keywords(primary)}' PUBLICATION rowguard_move".encode()
            )
            here.execute(
                "INSERT INTO transactions (user_id, amount, merchant_id, location)"
                " SELECT 1 + g % 300, 9 + g, g % 50, 'FR' FROM generate_series(1, 150) AS g"
            )
            here.execute("UPDATE users SET home_location = 'JP' WHERE user_id = 3")
            _wait_until_same(primary, replica)
            decided = there.execute(
                "SELECT count(*) FROM transactions WHERE model_version IS NOT NULL"
            ).fetchone()
            assert decided is not None and decided[0] >= 350
            for table in ("scoring.users_history", "scoring.model_state_changes"):
                query = f"SELECT * FROM {table} ORDER BY 1, 2"
                assert rows(replica.url, query) == rows(primary.url, query)  # no trigger wrote them twice
            # The move: no more writes over there; sequences are not replicated; then the replica is the database.
            # Dropping the subscription ends its worker and drops the slot over there.
            there.execute("DROP SUBSCRIPTION rowguard_move")
            slots = here.execute("SELECT count(*) FROM pg_replication_slots").fetchone()
            assert slots == (0,)
            here.execute("DROP PUBLICATION rowguard_move")
            for (name,) in here.execute(
                "SELECT schemaname || '.' || sequencename FROM pg_sequences WHERE schemaname IN ('public', 'scoring')"
            ).fetchall():
                (last, called) = here.execute(f"SELECT last_value, is_called FROM {name}".encode()).fetchone()  # type: ignore[misc]
                there.execute("SELECT setval(%s, %s, %s)", [name, last, called])
            _remember_the_model(here, there)
        settings = settings_with_artifacts(replica.url, tmp_path, scored_template)
        assert migrate(replica.url, settings).model_revisions == 0
        assert verify(replica.url, settings).is_ok
        assert rows(replica.url, QUESTIONS) == rows(primary.url, QUESTIONS)
        with replica.connect() as there:
            assert there.execute(INSERT.encode()).fetchone()[1] is None  # type: ignore[index]


FACADE = (
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'scoring'::regnamespace"
    " AND proname IN ('decide_transaction', 'decide_from_features')"
)


def _forget_the_model(there: psycopg.Connection) -> None:
    for (text,) in there.execute(FACADE.encode()).fetchall():
        head, _, _ = text.partition("AS $function$")
        there.execute((head + "AS $function$ BEGIN RETURN NULL; END $function$").encode())


def _remember_the_model(here: psycopg.Connection, there: psycopg.Connection) -> None:
    for (text,) in here.execute(FACADE.encode()).fetchall():
        there.execute(text.encode())


def _keywords(server: PostgresServer) -> str:
    """The primary's address in a form that fits into a literal."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    options = {name: value for name, value in conninfo_to_dict(server.url).items() if value is not None}
    return make_conninfo("", **options).replace("'", "''")


def _wait_until_same(primary: PostgresServer, replica: PostgresServer) -> None:
    deadline = time.monotonic() + WAIT_S
    wanted = rows(primary.url, DECISIONS)
    waiting = "SELECT srrelid::regclass::text FROM pg_subscription_rel WHERE srsubstate <> 'r'"
    while (found := rows(replica.url, DECISIONS)) != wanted or rows(replica.url, waiting):
        assert time.monotonic() < deadline, f"{len(found)} of {len(wanted)} rows, or others"
        time.sleep(0.3)
