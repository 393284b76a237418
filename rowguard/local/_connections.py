"""Connections to our own servers on loopback, whatever the caller's PG* variables say."""

from __future__ import annotations

from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from rowguard.local._ports import LOOPBACK


def loopback_url(user: str, password: str, port: int, database: str) -> str:
    """The URL of a server on loopback."""
    return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{port}/{quote(database, safe='')}"


def connect_loopback(url: str, *, timeout: int = 10) -> psycopg.Connection:
    """An autocommit connection without TLS, which the embedded build does not have.

    Raises:
        psycopg.OperationalError: nobody answers, or the log-in is refused.
    """
    plain = make_conninfo(
        url, hostaddr=LOOPBACK, sslmode="disable", gssencmode="disable", options="", connect_timeout=timeout
    )
    return psycopg.connect(plain, autocommit=True)


def reason_of(error: psycopg.Error) -> str:
    """What the server said, on one line."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if isinstance(error, psycopg.OperationalError) and lines else "".join(lines[:1])
