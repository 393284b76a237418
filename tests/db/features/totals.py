"""What running totals must be, computed in Python from the rows, and what a live read must give."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from rowguard.database import fetch_one
from sql_scoring.features.totals import recompute_totals
from tests.db.features.builds import built_hash8
from tests.fix_database import Workspace

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
    return int(fetch_one(connection, "SELECT count(*) FROM transactions WHERE user_txns_before IS NULL")[0])


def assert_recomputed(workspace: Workspace, recomputed: int | None = None) -> None:
    """The nightly build leaves no total pending or wrong; `recomputed` rows are written, if given."""
    written = recompute_totals(workspace.url)
    assert recomputed is None or written == recomputed
    with workspace.connect() as connection:
        assert_totals_are_right(connection)


def assert_totals_are_right(connection: Connection) -> None:
    assert (totals_pending_count(connection), wrong_totals(connection)) == (0, [])


def assert_live_matches_row_scan(
    connection: Connection, users: Sequence[int], times: Sequence[datetime]
) -> None:
    """The live function against the one that scans; and the last row that it brings against the row itself."""
    hash8 = built_hash8(connection)
    request = "ROW(u, 12.5, at, 7, 'DE')::scoring.scoring_request"
    query = (
        f"SELECT u, at, d.feature_values = features.row_scan_feature_values_{hash8}({request}),"
        " CASE WHEN EXISTS (SELECT FROM transactions AS p WHERE p.user_id = u AND p.user_txns_before IS NULL)"
        " THEN d.last_occurred_at IS NULL"
        " ELSE (d.last_occurred_at, d.txns_through_last, d.amount_through_last, d.amount_squares_through_last)"
        " IS NOT DISTINCT FROM (coalesce(l.occurred_at, '-infinity'), coalesce(l.user_txns_before + 1, 0),"
        " coalesce(l.user_amount_before + l.amount, 0),"
        " coalesce(l.user_amount_squares_before + l.amount * l.amount, 0)) END"
        " FROM unnest(%s::bigint[]) AS u CROSS JOIN unnest(%s::timestamptz[]) AS at"
        f" CROSS JOIN LATERAL features.live_feature_values_{hash8}({request}) AS d"
        " LEFT JOIN LATERAL (SELECT * FROM transactions AS t WHERE t.user_id = u"
        " ORDER BY t.occurred_at DESC, t.user_txns_before DESC LIMIT 1) AS l ON true"
    )
    rows = connection.execute(query.encode(), [list(users), list(times)]).fetchall()
    assert len(rows) == len(users) * len(times)
    assert [row for row in rows if row[2:] != (True, True)] == []
