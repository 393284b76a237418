"""Simulated rows in a database: each has a label of the source `simulator`. By it they are told from real ones."""

from __future__ import annotations

import psycopg

from rowguard.database import fetch_one
from rowguard.errors import SettingsError
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")
BATCH_ROWS = 10_000


def has_real_rows(connection: psycopg.Connection) -> bool:
    """Return whether transactions are stored that are not simulated; a few inserted by hand do not count."""
    return bool(fetch_one(connection, QUERIES["has_real_rows"])[0])


def require_only_simulated_rows(connection: psycopg.Connection, *, is_external: bool) -> None:
    """Refuse to add simulated rows where they could be taken for real ones.

    Args:
        connection: To the database.
        is_external: Whether DATABASE_URL names it; it then may belong to an application.

    Raises:
        SettingsError: It is external, or holds rows that are not simulated.
    """
    reason = None
    if has_real_rows(connection):
        reason = "the database holds transactions that are not simulated"
    elif is_external:
        reason = "DATABASE_URL names the database, which may serve an application"
    if reason:
        raise SettingsError(
            f"nothing was simulated: {reason}. Simulated rows take the same user ids and become training data; "
            "--mix-into-real-data insists, and rowguard simulate --remove takes them out again"
        )


def remove_simulated_rows(connection: psycopg.Connection) -> tuple[int, int]:
    """Delete the simulated transactions with their labels, and profiles of users who have no others.

    Args:
        connection: Of the owner, in autocommit mode: rows go in small transactions.

    Returns:
        Number of transactions and of users.
    """
    transactions = 0
    connection.execute(QUERIES["create_simulated_users"])
    while deleted := connection.execute(QUERIES["delete_simulated_rows"], {"rows": BATCH_ROWS}).rowcount:
        transactions += deleted
    users = connection.execute(QUERIES["delete_simulated_users"]).rowcount
    return transactions, users
