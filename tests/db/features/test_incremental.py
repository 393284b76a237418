"""What an incremental run covers, against a full refresh; and what needs the variable, as marts.yml states."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa

from rowguard.operations.archive import archive_transactions
from rowguard.operations.importer import load_history
from tests.db.features.builds import CompiledSql, assert_matches_full_refresh, build, built_hash8
from tests.fix_database import Workspace

NOW = datetime.now(UTC).replace(microsecond=0)
LOCATIONS = ["DE", "FR", None]


def test_incremental_runs_equal_a_full_refresh(extended: Workspace, extended_sql: CompiledSql) -> None:
    """Live and late rows, labels given and withdrawn, an import into the past; what is older by the variable; and
    retention, after which no old row is written again."""
    draw = random.Random(int(os.environ.get("ROWGUARD_TEST_SEED", "3")))
    _load(extended, draw, 250)
    build(extended)
    with extended.connect() as connection:
        _insert(connection, draw)
        _label(connection, draw)
    _load(extended, draw, 20)
    build(extended)
    assert_matches_full_refresh(extended, extended_sql)

    with extended.connect() as connection:
        connection.execute(
            "INSERT INTO users (user_id, home_location) SELECT g, 'DE' FROM generate_series(1, 6) AS g"
        )
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT user_id, transaction_id, true, now() - interval '20 days' FROM transactions"
            " WHERE occurred_at < now() - interval '21 days'"
        )
    build(extended, "--vars", f"rebuild_from: {NOW.date() - timedelta(days=85)}")
    assert_matches_full_refresh(extended, extended_sql)

    with extended.connect() as connection:
        _insert(connection, draw)
    archived = archive_transactions(
        extended.url, extended.settings.state_dir / "archive", keep_days=70, label_delay_days=7
    )
    assert archived.transactions > 0
    before = _written(extended, archived.complete_from)
    build(extended)
    assert_matches_full_refresh(extended, extended_sql, since=archived.complete_from.date())
    assert before and before == _written(extended, archived.complete_from)


def _written(workspace: Workspace, since: datetime) -> list[tuple[Any, ...]]:
    """Which transaction wrote each row of the training set that is older than the lookback."""
    with workspace.connect() as connection:
        return connection.execute(
            f"SELECT user_id, transaction_id, xmin::text FROM features.training_features_{built_hash8(connection)}"
            " WHERE occurred_at >= %s AND occurred_at < now() - interval '5 days' ORDER BY 1, 2".encode(),
            [since],
        ).fetchall()


def _load(workspace: Workspace, draw: random.Random, count: int) -> None:
    """As history of the last 80 days, labeled up to three days later."""
    rows = [
        {
            "occurred_at": NOW - timedelta(minutes=draw.randrange(60, 60 * 24 * 80)),
            "user_id": draw.randrange(1, 7),
            "merchant_id": draw.choice([1, 2, 3, None]),
            "location": draw.choice(LOCATIONS),
            "amount": f"{draw.randrange(1, 5000)}.25",
            "is_fraud": draw.random() < 0.3,
        }
        for _ in range(count)
    ]
    load_history(
        workspace.url,
        pa.Table.from_pylist(rows).to_batches(),
        label_delay=timedelta(days=draw.randrange(0, 4)),
        source="test",
    )


def _insert(connection: psycopg.Connection, draw: random.Random) -> None:
    """Live rows, some of them late by up to two and a half days."""
    for _ in range(6):
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at) VALUES (%s, %s, %s, %s, %s)",
            [
                draw.randrange(1, 7),
                draw.randrange(1, 100),
                draw.choice([1, 2, 3, 9]),
                draw.choice(LOCATIONS),
                draw.choice([None, datetime.now(UTC) - timedelta(hours=draw.randrange(60))]),
            ],
        )


def _label(connection: psycopg.Connection, draw: random.Random) -> None:
    """Labels with a date of the last two and a half days, also of frauds that were labeled before."""
    rows = connection.execute(
        "SELECT user_id, transaction_id FROM transactions ORDER BY hashint8extended(transaction_id, %s) LIMIT 8",
        [draw.randrange(1000)],
    ).fetchall()
    for user, transaction in rows:
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at) VALUES (%s, %s, %s, %s)",
            [
                user,
                transaction,
                draw.random() < 0.6,
                datetime.now(UTC) - timedelta(hours=draw.randrange(60)),
            ],
        )
