"""Statements that tools write, by an application's role: they name every column, and read back every column."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Any

import django
import django.core.management
import django.db
import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

from tests.fix_database import Workspace

NOW = datetime.now(UTC)


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


def test_django_saves_and_reads_whole_rows(scored: Workspace) -> None:
    """With the models that `inspectdb` writes, without the arrays, whose type it does not know."""
    options = conninfo_to_dict(scored.url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options["dbname"],
        **{name.upper(): options[name] for name in ("user", "password", "host", "port") if name in options},
        "OPTIONS": {"assume_role": "rowguard_app"},
    }
    django.conf.settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    text = io.StringIO()
    django.core.management.call_command("inspectdb", "transactions", "users", stdout=text)
    models: dict[str, Any] = {}
    code = re.sub(r".* # This field type is a guess\.\n", "", text.getvalue())
    exec(code.replace("class Meta:", "class Meta:\n        app_label = 'payments'"), models)
    try:
        transaction = models["Transactions"](user_id=100_000, amount="12.5", merchant_id=7, location="DE")
        transaction.save()
        transaction.refresh_from_db()
        assert transaction.fraud_flag in ("FRAUD", "LEGITIMATE") and transaction.user_txns_before == 0
        assert [row.pk for row in models["Transactions"].objects.filter(user_id=100_000)] == [transaction.pk]
        first, second = (models["Transactions"](user_id=100_001, amount=1, idempotency_key="k") for _ in "12")
        models["Transactions"].objects.bulk_create([first, second], ignore_conflicts=True)
        assert models["Transactions"].objects.filter(user_id=100_001).count() == 1
        profile = models["Users"](user_id=100_000, home_location="DE", created_at=NOW, updated_at=NOW)
        profile.save(force_insert=True)
        transaction.fraud_flag = "LEGITIMATE"  # a decided row stays as it is
        with pytest.raises(django.db.ProgrammingError, match="permission denied"):
            transaction.save()
    finally:
        django.db.connections.close_all()


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
