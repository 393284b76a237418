"""The owner of the database is an ordinary role: no superuser, no CREATEROLE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from rowguard.errors import SchemaError, SettingsError
from sql_scoring.deployment import migrate_schema
from sql_scoring.deployment.migrate import migrate
from sql_scoring.roles import render_roles
from tests.db.schema.prepared import PASSWORD, address, prepared_database
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


def test_two_owners_on_one_server_have_separate_databases(server_url: str, tmp_path: Path) -> None:
    with (
        prepared_database(server_url, "owner_a", "login_a", "shop_a") as url_a,
        prepared_database(server_url, "owner_b", "login_b", "shop_b") as url_b,
        psycopg.connect(server_url, autocommit=True) as dba,
    ):
        migrate_schema(url_a, tmp_path / "a")
        migrate_schema(url_b, tmp_path / "b")
        dba.execute(f"CREATE ROLE payments_a LOGIN PASSWORD '{PASSWORD}'".encode())
        try:
            with psycopg.connect(url_a, autocommit=True) as owner:
                owner.execute("GRANT CONNECT ON DATABASE shop_a TO payments_a")
                owner.execute("GRANT rowguard_app TO payments_a")
                if owner.info.server_version >= 160000:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        owner.execute("SET ROLE rowguard_app")
            for login in ("payments_a", "login_a"):
                with psycopg.connect(address(url_a, login, "shop_a"), autocommit=True) as client:
                    client.execute("INSERT INTO transactions (user_id, amount) VALUES (1, 1)")
            for stranger in ("owner_a", "payments_a", "login_a"):
                with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                    psycopg.connect(address(url_b, stranger, "shop_b"))
        finally:
            dba.execute("REVOKE CONNECT ON DATABASE shop_a FROM payments_a")
            dba.execute("DROP ROLE payments_a")


@pytest.mark.parametrize("owner", ["", " ", "x" * 64, "a\nDROP ROLE b; --"])
def test_a_name_that_cannot_be_one_is_rejected(owner: str) -> None:
    with pytest.raises(SettingsError, match="the owner .* is no name"):
        render_roles(owner=owner, login="l", database="d")


def test_odd_names_are_quoted() -> None:
    script = render_roles(owner='o"; DROP', login="l'", database="d")
    assert 'OWNER "o""; DROP";' in script
    assert """ARRAY['o"; DROP', 'l''']""" in script
