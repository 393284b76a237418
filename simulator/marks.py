"""The mark of simulated rows: each has a label of the source `simulator`. By it they are told from real ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import psycopg

from rowguard.database import connect, fetch_one
from rowguard.errors import SettingsError
from rowguard.queries import load_queries
from simulator._config import SimulationConfig
from simulator._stream import live_transactions
from simulator.live import LiveDecision, LiveSummary, insert_live

QUERIES = load_queries("simulator")
SOURCE = "simulator"
BATCH_ROWS = 10_000
MAX_SKIPPED_ROWS = 100_000


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


def insert_marked(
    url: str,
    config: SimulationConfig,
    fraud_rate: float,
    count: int,
    *,
    label_delay: timedelta,
    application_url: str | None = None,
    rate: float | None = None,
    on_row: Callable[[], None] = lambda: None,
) -> LiveSummary:
    """Insert live transactions, as an application does, and label them with the truth, also when interrupted.

    Args:
        url: Address of the database, of a role that may label.
        config: The world, and the end of its history.
        fraud_rate: Fraction of frauds.
        count: Number of transactions; those that were inserted before are left out.
        label_delay: Time after which the labels are known.
        application_url: Address that the rows are inserted through, by default `url`.
        rate: Mean rows per second; None for full speed.
        on_row: Called after each row.

    Returns:
        The decisions.
    """
    with connect(url) as connection:
        stored = fetch_one(connection, QUERIES["count_live_rows"])[0] % MAX_SKIPPED_ROWS
    stream = live_transactions(config, fraud_rate=fraud_rate, count=stored + count)
    decisions: list[LiveDecision] = []

    def collect(decision: LiveDecision) -> None:
        decisions.append(decision)
        on_row()

    try:
        with connect(application_url or url, autocommit=True) as connection:
            # Through PgBouncer a prepared statement may be in another server connection.
            connection.prepare_threshold = None
            return insert_live(connection, islice(stream, stored, None), rate=rate, on_row=collect)
    finally:
        if decisions:
            with connect(url) as connection:
                values: dict[str, Any] = {"label_delay": label_delay, "source": SOURCE}
                values["user_ids"] = [each.transaction.user_id for each in decisions]
                values["transaction_ids"] = [each.transaction_id for each in decisions]
                values["is_fraud"] = [each.transaction.is_fraud for each in decisions]
                connection.execute(QUERIES["mark_live_rows"], values)


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
