"""The script that a DBA runs before rowguard's first migration on a server that is not rowguard's own."""

from __future__ import annotations

from importlib.resources import files

from psycopg import sql

from rowguard.errors import SettingsError


def render_roles(*, owner: str, login: str, database: str) -> str:
    """Render the script: group roles, the owner, the API's login, the database. Safe to repeat but for the database.

    Args:
        owner: Role that owns the database.
        login: Login role of the API.
        database: Name of the database.

    Returns:
        SQL statements.

    Raises:
        SettingsError: A name is empty, too long for PostgreSQL, or has a character that breaks a comment.
    """
    names = {"owner": owner, "login": login, "database": database}
    for what, name in names.items():
        if not name.strip() or len(name.encode()) > 63 or not name.isprintable():
            raise SettingsError(f"the {what} {name!r} is no name: 1 to 63 bytes of printable characters")
    values = dict(names)
    for what, name in names.items():
        values[f"{what}_name"] = sql.Identifier(name).as_string(None)
        values[f"{what}_literal"] = sql.Literal(name).as_string(None).strip()
    template = files("sql_scoring").joinpath("templates", "roles.sql").read_text(encoding="utf-8")
    return template.format(**values)
