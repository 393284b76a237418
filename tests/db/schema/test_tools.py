"""Statements that tools write, by an application's role: they name every column, and read back every column."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

from tests.fix_database import Workspace


def app_engine(workspace: Workspace) -> sa.Engine:
    engine = sa.create_engine(workspace.url.replace("postgresql://", "postgresql+psycopg://", 1))

    @sa.event.listens_for(engine, "connect")
    def set_role(connection: psycopg.Connection, _: object) -> None:
        connection.execute("SET ROLE rowguard_app")
        connection.commit()

    return engine


def test_sqlalchemy_automap_inserts_and_reads_whole_rows(scored: Workspace) -> None:
    engine = app_engine(scored)
    base = automap_base()
    base.prepare(autoload_with=engine, reflection_options={"only": ["transactions", "users", "fraud_labels"]})
    transaction_of = base.classes.transactions
    with Session(engine) as session:
        transaction = transaction_of(
            user_id=100_000, amount=12.5, merchant_id=7, location="DE", is_history=False
        )
        session.add(transaction)
        session.commit()
        session.refresh(transaction)
        assert transaction.fraud_flag in ("FRAUD", "LEGITIMATE")
        assert transaction.transaction_id is not None
        assert transaction.user_txns_before == 0
        assert [row.user_id for row in session.query(transaction_of).filter_by(user_id=100_000)] == [100_000]
        profile = base.classes.users(user_id=100_000, home_location="DE")
        session.add(profile)
        session.commit()
        profile.home_location = "FR"
        session.commit()
        # A decided row stays as it is.
        transaction.fraud_flag = "LEGITIMATE" if transaction.fraud_flag == "FRAUD" else "FRAUD"
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            session.commit()
    engine.dispose()


# As Django, ActiveRecord and Prisma write them: every column but the key, with the model's defaults, then all back.
COLUMNS = (
    "user_id, occurred_at, received_at, is_history, amount, merchant_id, location, idempotency_key, fraud_flag,"
    " fraud_probability, model_version, scored_at, feature_values, unscored_reason, features_caveat, user_txns_before,"
    " user_amount_before, user_amount_squares_before, is_control, shadow_version, shadow_probability,"
    " shadow_feature_values, shadow_error, reason_codes, external_id"
)
VALUES = (
    "100000, now(), NULL, false, 12.5, 7, 'DE', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false,"
    " NULL, NULL, NULL, NULL, NULL, NULL"
)


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO transactions ({COLUMNS}) VALUES ({VALUES}) RETURNING transaction_id, fraud_flag",
        f"INSERT INTO transactions ({COLUMNS}) VALUES ({VALUES}), ({VALUES}) RETURNING *",
        "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (100000, 1, 'k')"
        " ON CONFLICT (user_id, idempotency_key) DO NOTHING RETURNING *",
        "SELECT * FROM transactions WHERE user_id = 5 ORDER BY transaction_id LIMIT 1",
        "SELECT * FROM users LIMIT 1",
        "SELECT * FROM model_versions LIMIT 1",
    ],
)
def test_whole_rows_by_name(scored: Workspace, statement: str) -> None:
    with scored.connect("rowguard_app") as connection:
        assert len(connection.execute(statement.encode()).fetchall()) >= 1


def test_every_column_but_the_id_may_be_named(migrated: Workspace) -> None:
    """Grants are by column: a new one must not be forgotten."""
    with migrated.connect() as connection:
        rows = connection.execute(
            "SELECT a.attname, has_column_privilege('rowguard_app', a.attrelid, a.attnum, 'INSERT') FROM pg_attribute AS a"
            " WHERE a.attrelid = 'public.transactions'::regclass AND a.attnum > 0 AND NOT a.attisdropped"
        ).fetchall()
    assert {name for name, may in rows if not may} == {"transaction_id"}
