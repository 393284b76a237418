"""The local stack's statements, with names and literals put in."""

from __future__ import annotations

from psycopg import sql

from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.local")


def load_sql(name: str, /, **parts: sql.Composable) -> sql.Composed | sql.SQL:
    """The named statement, with `{placeholders}` filled in."""
    return sql.SQL(QUERIES[name]).format(**parts) if parts else sql.SQL(QUERIES[name])
