"""A database as a DBA prepares it by `rowguard roles --sql`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg

from sql_scoring.roles import render_roles

PASSWORD = "secret"


def address(url: str, role: str, database: str) -> str:
    """The address of the same server for another role and database."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return urlsplit(url)._replace(netloc=f"{role}:{PASSWORD}@{host}", path=f"/{database}").geturl()


@contextmanager
def prepared_database(server_url: str, owner: str, login: str, database: str) -> Iterator[str]:
    """Run the script; yields the owner's address. Everything but the group roles is dropped afterwards."""
    script = render_roles(owner=owner, login=login, database=database)
    with psycopg.connect(server_url, autocommit=True) as dba:
        try:
            for statement in re.split(r"(?<=;)\n\n", script):
                dba.execute(statement.encode())
            for role in (owner, login):
                dba.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'".encode())
            yield address(server_url, owner, database)
        finally:
            dba.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
            dba.execute(f"DROP ROLE IF EXISTS {owner}, {login}".encode())
