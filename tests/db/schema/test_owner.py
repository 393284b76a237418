"""The owner of the database is an ordinary role: no superuser, no CREATEROLE."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from rowguard.errors import SchemaError
from sql_scoring.deployment import migrate_schema
from sql_scoring.deployment.migrate import migrate
from tests.fix_database import Workspace

ROLES = ("rowguard_app", "rowguard_api", "rowguard_trainer", "rowguard_readonly")
OWNER = "plain_owner"


@pytest.fixture
def owned(server_url: str, empty_workspace: Workspace) -> Iterator[Workspace]:
    """An empty database whose owner may not create roles; the roles exist or not, as the server has them."""
    parts = urlsplit(empty_workspace.url)
    database = parts.path[1:]
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD 'owner' NOCREATEROLE NOSUPERUSER".encode())
        connection.execute(f"ALTER DATABASE {database} OWNER TO {OWNER}".encode())
    url = parts._replace(netloc=f"{OWNER}:owner@{parts.netloc.rpartition('@')[2]}").geturl()
    try:
        yield Workspace(url, empty_workspace.settings)
    finally:
        with psycopg.connect(empty_workspace.url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {OWNER} CASCADE".encode())
            connection.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER".encode())
            connection.execute(f"DROP ROLE {OWNER}".encode())


def test_an_owner_without_createrole_migrates_when_the_roles_exist(
    owned: Workspace, migrated_template: Workspace
) -> None:
    migrate(owned.url, owned.settings)
    with owned.connect() as connection:
        connection.execute("INSERT INTO transactions (user_id, amount) VALUES (1, 1)")
        granted = connection.execute(
            "SELECT count(*) FROM unnest(%s::text[]) AS r WHERE has_any_column_privilege(r, 'transactions', 'SELECT')",
            [list(ROLES)],
        ).fetchone()
    assert granted == (4,)


def test_missing_roles_are_named_for_a_dba(
    owned: Workspace, migrated_template: Workspace, server_url: str
) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("ALTER ROLE rowguard_readonly RENAME TO renamed_meanwhile")
        try:
            with pytest.raises(
                SchemaError, match="may not create roles.*missing: rowguard_readonly"
            ) as caught:
                migrate_schema(owned.url, owned.settings.models_dir)
        finally:
            connection.execute("ALTER ROLE renamed_meanwhile RENAME TO rowguard_readonly")
    assert "CREATE ROLE rowguard_readonly NOLOGIN;" in str(caught.value)
