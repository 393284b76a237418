"""Alembic's entry: two branches, `schema` (hand-written) and `models` (generated), one transaction each run."""

from __future__ import annotations

from typing import Any

from alembic import context

from rowguard.settings import settings
from sql_scoring import registry
from sql_scoring.deployment import migrations
from sql_scoring.deployment.migrate import missing_function_notes

# An application that uses Alembic itself has its own table of versions in `public`.
_OWN_SCHEMA = """
DO $$
BEGIN
    IF to_regnamespace('scoring') IS NULL THEN
        CREATE SCHEMA scoring;
    END IF;
END
$$
"""


def _run(**target: Any) -> None:
    context.configure(version_table_schema="scoring", transaction_per_migration=False, **target)
    with context.begin_transaction():
        context.execute(_OWN_SCHEMA)
        context.run_migrations()


def _run_online() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(connection=given)
        return
    url = context.get_x_argument(as_dictionary=True).get("url")
    configured = settings().database_url
    if url is None and configured is None:
        raise SystemExit("set DATABASE_URL, or use: rowguard migrate")
    with migrations.transaction(url or configured.get_secret_value()) as connection:  # type: ignore[union-attr]
        _run(connection=connection)
        # Alembic builds no features, which the deployed models may call.
        missing = registry.missing_feature_functions(migrations.driver(connection))
        for note in missing_function_notes(missing, "rowguard migrate"):
            context.config.print_stdout("%s", note)


if context.is_offline_mode():
    # With named parameters a percent sign stays one.
    _run(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, literal_binds=True)
else:
    _run_online()
