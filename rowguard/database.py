"""Connections to PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowguard.errors import DatabaseUnavailableError, SettingsError

CONNECT_TIMEOUT_S = 10
_PASSWORD_WORD = re.compile(r"(password|passfile|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


@contextmanager
def connect(url: str, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """Open a connection for a block; commit at its end, roll back on an error. See `open_connection`."""
    connection = open_connection(url, autocommit=autocommit)
    with connection:
        yield connection


def open_connection(url: str, *, autocommit: bool = False) -> psycopg.Connection:
    """Open a connection.

    Args:
        url: Address of the database, as a URI or as libpq keywords.
        autocommit: Commit each statement.

    Returns:
        The connection, which the caller closes.

    Raises:
        DatabaseUnavailableError: The server cannot be reached, or rejects the login.
        SettingsError: The address is malformed.
    """
    try:
        return psycopg.connect(
            make_conninfo(url, connect_timeout=CONNECT_TIMEOUT_S),  # PgBouncer rejects `options`
            autocommit=autocommit,
        )
    except psycopg.ProgrammingError:
        raise SettingsError(f"DATABASE_URL is not a PostgreSQL address: {redact_url(url)}") from None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"no connection to {redact_url(url)}: {one_line(error)}") from None


def fetch_one(
    connection: psycopg.Connection, query: LiteralString | sql.Composed, values: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    """Return the row of a query that has exactly one, such as a count.

    Args:
        connection: An open connection.
        query: The statement.
        values: Its parameters by name.
    """
    row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
    assert row is not None
    return row


def one_line(error: Exception) -> str:
    """Return a libpq message, which has several lines, as one line."""
    return " ".join(str(error).split())


def redact_url(url: str) -> str:
    """Return the address without its password, for messages and logs."""
    if "://" not in url:
        # libpq's keyword form
        return _PASSWORD_WORD.sub(r"\1=***", url)
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return urlunsplit(parts._replace(query=""))
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}", query=""))
