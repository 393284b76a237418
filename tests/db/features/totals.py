"""What running totals must be, computed in Python from the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


def wrong_totals(connection: Connection) -> list[str]:
    """Users of whom every row carries totals, and whose totals are not those of the rows; as sums in Python, of what
    lies between two rows, because a user's first rows may have been removed."""
    rows = connection.execute(
        "SELECT user_id, occurred_at, amount, user_txns_before, user_amount_before, user_amount_squares_before"
        " FROM transactions ORDER BY user_id, occurred_at, user_txns_before"
    ).fetchall()
    wrong = []
    for user in sorted({row[0] for row in rows}):
        own = [row[2:] for row in rows if row[0] == user]
        if any(row[1] is None for row in own):
            continue
        count, amount, squares = own[0][1:]
        for number, row in enumerate(own):
            if row[1:] != (count + number, amount, squares):
                wrong.append(f"user {user}, row {number}: {row[1:]}, not {(count + number, amount, squares)}")
                break
            amount, squares = amount + Decimal(row[0]), squares + Decimal(row[0]) ** 2
    return wrong


def totals_pending_count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM transactions WHERE user_txns_before IS NULL").fetchone()
    assert row is not None
    return int(row[0])
