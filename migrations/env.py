"""Alembic's entry: two branches, `schema` (hand-written) and `models` (generated), one transaction each run."""

from __future__ import annotations

import psycopg
from alembic import context
from sqlalchemy import Connection, create_engine, pool

from rowguard.database import sqlalchemy_url
from rowguard.settings import settings
from sql_scoring import registry
from sql_scoring.deployment.migrate import missing_function_notes

VERSION_TABLE_SCHEMA = "public"


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection, version_table_schema=VERSION_TABLE_SCHEMA, transaction_per_migration=False
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_offline() -> None:
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # a percent sign then stays one
        literal_binds=True,
        version_table_schema=VERSION_TABLE_SCHEMA,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_online() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    url = context.get_x_argument(as_dictionary=True).get("url")
    configured = settings().database_url
    if url is None and configured is None:
        raise SystemExit("set DATABASE_URL, or use: rowguard migrate")
    engine = create_engine(
        sqlalchemy_url(url or configured.get_secret_value()),  # type: ignore[union-attr]
        poolclass=pool.NullPool,
    )
    with engine.begin() as connection:
        _run(connection)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        # Alembic builds no features, which the deployed models may call.
        for note in missing_function_notes(registry.missing_feature_functions(raw), "rowguard migrate"):
            context.config.print_stdout("%s", note)


if context.is_offline_mode():
    _run_offline()
else:
    _run_online()
