"""The running totals on the rows of transactions: recomputes those that are pending."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import IsolationLevel

from rowguard.database import connect
from rowguard.queries import load_queries

QUERIES = load_queries("sql_scoring")
# The users of a batch cannot insert until it is committed: few of them, and not for long.
USERS_PER_BATCH = 100


def recompute_totals(url: str, *, on_progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Recompute totals that late rows, loaded history or the owner's changes left pending.

    Until then such users are scored with a row scan. Each batch of users is one transaction, so an interrupted call
    loses nothing.

    Args:
        url: the database.
        on_progress: called with `(done, total)` users after each batch.

    Returns:
        How many rows were written.
    """
    written = 0
    with connect(url, autocommit=True) as connection:
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        users = [user for user, _ in connection.execute(QUERIES["users_with_pending_totals"])]
        for start in range(0, len(users), USERS_PER_BATCH):
            batch = users[start : start + USERS_PER_BATCH]
            with connection.transaction():  # autocommit would take the server's default isolation
                row = connection.execute(QUERIES["recompute_totals"], {"user_ids": batch}).fetchone()
            written += row[0] if row else 0
            on_progress(start + len(batch), len(users))
    return written
