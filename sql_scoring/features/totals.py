"""The running totals on the rows of transactions: finds the users whose totals are not known, and reckons them."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import IsolationLevel

from rowguard.database import connect
from rowguard.queries import load_queries

QUERIES = load_queries("sql_scoring")
# The users of a batch cannot insert until it is committed: few of them, and not for long.
USERS_A_BATCH = 100


def settle_totals(url: str, *, on_users: Callable[[int, int], None] = lambda done, of: None) -> int:
    """Reckon what late rows, loaded history or the owner's changes left open; answers how many rows were written.

    Until it has been here such users are scored all the same, from their rows one by one. Each batch of users is a
    transaction of its own: what is done stays done, and a second call goes on where the first was cut off.

    Args:
        on_users: hears how many users are done, of how many.
    """
    written = 0
    with connect(url, autocommit=True) as connection:
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        users = [user for user, _ in connection.execute(QUERIES["users_with_pending_totals"])]
        for start in range(0, len(users), USERS_A_BATCH):
            batch = users[start : start + USERS_A_BATCH]
            with connection.transaction():  # autocommit would take the server's default isolation
                row = connection.execute(QUERIES["recompute_totals"], {"user_ids": batch}).fetchone()
            written += row[0] if row else 0
            on_users(start + len(batch), len(users))
    return written
