"""An application lives in the same database: it may use Alembic itself, and may have rowguard's names."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from rowguard.errors import SchemaError
from sql_scoring.deployment import migrate_schema
from tests.fix_database import Workspace

ENV = """
from alembic import context
from sqlalchemy import create_engine

with create_engine(context.config.get_main_option("url")).begin() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op

revision, down_revision = "app1", None


def upgrade():
    op.execute("CREATE TABLE orders (order_id bigint)")
"""


def migrate_application(workspace: Workspace, folder: Path) -> None:
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "app1.py").write_text(REVISION)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("url", workspace.url.replace("postgresql://", "postgresql+psycopg://"))
    command.upgrade(config, "head")


@pytest.mark.parametrize("is_first", [True, False])
def test_an_application_with_alembic_keeps_its_versions(
    empty_workspace: Workspace, tmp_path: Path, is_first: bool
) -> None:
    for _ in range(2):
        if is_first:
            migrate_application(empty_workspace, tmp_path / "app")
        migrate_schema(empty_workspace.url, empty_workspace.settings.models_dir)
        if not is_first:
            migrate_application(empty_workspace, tmp_path / "app")
    with empty_workspace.connect() as connection:
        versions = [
            connection.execute(f"SELECT version_num FROM {schema}.alembic_version".encode()).fetchall()
            for schema in ("public", "scoring")
        ]
    assert versions == [[("app1",)], [("0001",)]]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (
            "CREATE TABLE users (id uuid); CREATE TABLE transactions (id uuid)",
            "public.transactions, public.users",
        ),
        ("CREATE VIEW model_versions AS SELECT 1", "public.model_versions"),
        ("CREATE TYPE fraud_score AS ENUM ('high')", "public.fraud_score"),
        (
            "CREATE FUNCTION score_transaction() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "public.score_transaction",
        ),
        ("CREATE SCHEMA scoring; CREATE TABLE scoring.models (id int)", "scoring.models"),
    ],
)
def test_names_of_another_application_are_one_clear_line(
    empty_workspace: Workspace, statement: str, names: str
) -> None:
    advice = (
        "rename them" if names.startswith("scoring.") else "set ROWGUARD_SCHEMA to the name of a new schema"
    )
    with empty_workspace.connect() as connection:
        connection.execute(statement.encode())
    with pytest.raises(
        SchemaError, match=f"^another application has {names} in this database, and .*{advice}, or"
    ):
        migrate_schema(empty_workspace.url, empty_workspace.settings.models_dir)
    with empty_workspace.connect() as connection:
        assert connection.execute("SELECT to_regtype('scoring.decision')").fetchone() == (None,)
