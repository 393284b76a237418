"""Minutes since the user was last at a location or merchant: from the last row, or by a dedicated lookup."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from tests.db.features.builds import built_hash8
from tests.fix_database import Workspace

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
INSERT = """
INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at) VALUES (%s, %s, %s, %s, %s)
"""


def test_every_way_of_reading_gives_the_same(extended: Workspace) -> None:
    """Live and with a row scan: at the last row's place, at another, at one long ago or never visited, nowhere;
    for a user whose last row is nowhere, one with a single row, and one without."""
    chance = random.Random(1)
    places, shops = ["DE", "FR", None], [7, 8, None]
    with extended.connect() as connection:
        for user in range(1, 9):
            at = NOW - timedelta(days=22)
            for _ in range(1 if user == 8 else 12):
                at += timedelta(
                    minutes=chance.choice([0, 20, 59, 60, 60 * 24 * 4, 60 * 24 * 7]), microseconds=1
                )
                row = [
                    user,
                    chance.randrange(1, 99),
                    chance.choice(shops),
                    chance.choice(places),
                    min(at, NOW),
                ]
                connection.execute(INSERT, row)
        hash8 = built_hash8(connection)
        request = "(ROW(u, 12.5, at, shop, place)::scoring.scoring_request)"
        rows = connection.execute(
            f"SELECT (features.live_feature_values_{hash8}{request}).feature_values,"
            f" features.row_scan_feature_values_{hash8}{request}"
            " FROM generate_series(1, 9) AS u, unnest(%s::text[]) AS place, unnest(%s::bigint[]) AS shop,"
            " unnest(%s::timestamptz[]) AS at",
            [[*places, "IT"], [*shops, 9], [NOW - timedelta(days=9), NOW, NOW + timedelta(minutes=59)]],
        ).fetchall()
    assert len(rows) == 9 * 4 * 4 * 3
    assert [row for row in rows if row[0] != row[1]] == []
    recencies = [row[0][-4:] for row in rows]
    for position in range(4):
        assert len({values[position] for values in recencies}) > 2


def test_the_last_rows_place_is_not_looked_up(extended: Workspace) -> None:
    """Counted by the functions' own calls."""
    with extended.connect() as connection:
        hash8 = built_hash8(connection)
        connection.execute(INSERT, [1, 10, 7, "DE", NOW - timedelta(minutes=90)])
        connection.execute("SET track_functions = 'all'")
        read = f"SELECT features.live_feature_values_{hash8}(ROW(%s, 1, %s, %s, %s)::scoring.scoring_request)"

        def looks(user: int, shop: int | None, place: str | None) -> tuple[int, int]:
            connection.execute("SELECT pg_stat_reset()")
            connection.execute(read.encode(), [user, NOW, shop, place])
            found = dict(
                connection.execute(
                    "SELECT split_part(funcname, '_minutes', 1), calls FROM pg_stat_xact_user_functions"
                    " WHERE funcname LIKE '%minutes_since%'"
                ).fetchall()
            )
            return found.get("user_location", 0), found.get("user_merchant", 0)

        with connection.transaction(force_rollback=True):
            assert looks(1, 7, "DE") == (0, 0)
            assert looks(1, None, None) == (0, 0)
        with connection.transaction(force_rollback=True):
            # Derived features name them, so each is asked once: two of the location, two windows of the merchant.
            assert looks(1, 9, "FR") == (2, 2)
