"""Connections to PostgreSQL. Which database is meant is decided above, in the settings or the local stack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

from rowguard.errors import DatabaseUnavailableError, SettingsError

CONNECT_TIMEOUT_S = 10
_PASSWORD_WORD = re.compile(r"(password|passfile|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


@contextmanager
def connect(url: str, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """A connection, committed at the end of the block or rolled back on an error.

    Raises:
        DatabaseUnavailableError: nobody answers there, or the log-in is refused.
    """
    try:
        connection = psycopg.connect(
            make_conninfo(url, connect_timeout=CONNECT_TIMEOUT_S),  # PgBouncer refuses `options`
            autocommit=autocommit,
        )
    except psycopg.ProgrammingError:
        raise SettingsError(f"DATABASE_URL is not a PostgreSQL address: {redacted(url)}") from None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"no connection to {redacted(url)}: {one_line(error)}") from None
    with connection:
        yield connection


def one_line(error: Exception) -> str:
    """What libpq says, in one line; it puts the cause first and a question after it."""
    return " ".join(str(error).split())


def redacted(url: str) -> str:
    """The address without its password, for messages and logs."""
    if "://" not in url:
        # libpq's keyword form
        return _PASSWORD_WORD.sub(r"\1=***", url)
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return urlunsplit(parts._replace(query=""))
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}", query=""))


def sqlalchemy_url(url: str) -> URL:
    """The same address for SQLAlchemy with psycopg 3; every libpq option is kept."""
    options = conninfo_to_dict(url)
    take = {
        name: str(options.pop(name)) for name in ("user", "password", "host", "dbname") if name in options
    }
    port = options.pop("port", None)
    return URL.create(
        "postgresql+psycopg",
        username=take.get("user"),
        password=take.get("password"),
        host=take.get("host"),
        port=int(port) if port else None,
        database=take.get("dbname"),
        query={name: str(value) for name, value in options.items()},
    )
