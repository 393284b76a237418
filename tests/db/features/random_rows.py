"""Random rows of six users: loaded history, live and late rows, labels given and corrected."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa

from rowguard.operations.importer import load_history
from tests.fix_database import Workspace
from tests.user_keys import in_json

Connection = psycopg.Connection[Any]
NOW = datetime.now(UTC).replace(microsecond=0)
LOCATIONS = ["DE", "FR", None]


def load(workspace: Workspace, draw: random.Random, count: int, *, days: int) -> None:
    """Load history of the last days, labeled up to three days later."""
    rows = [
        {
            "occurred_at": NOW - timedelta(minutes=draw.randrange(60, 60 * 24 * days)),
            **in_json({"user_id": draw.randrange(1, 7)}),
            "merchant_id": draw.choice([1, 2, 3, 4, None]),
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


def insert(connection: Connection, draw: random.Random, *, late_hours: int) -> None:
    """Insert live rows, some of them late."""
    for _ in range(6):
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at) VALUES (%s, %s, %s, %s, %s)",
            [
                draw.randrange(1, 7),
                draw.randrange(1, 100),
                draw.choice([1, 2, 3, 9]),
                draw.choice(LOCATIONS),
                draw.choice([None, _past(draw, late_hours)]),
            ],
        )


def label(connection: Connection, draw: random.Random, *, past_hours: int) -> None:
    """Label rows with dates of the last hours, also frauds that were labeled before."""
    for user, transaction in some_rows(connection, draw, 6):
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at) VALUES (%s, %s, %s, %s)",
            [user, transaction, draw.random() < 0.6, _past(draw, past_hours)],
        )


def some_rows(connection: Connection, draw: random.Random, count: int) -> list[tuple[int, int]]:
    """Ids of random transactions."""
    return connection.execute(
        "SELECT user_id, transaction_id FROM transactions ORDER BY hashint8extended(transaction_id, %s) LIMIT %s",
        [draw.randrange(1000), count],
    ).fetchall()


def _past(draw: random.Random, hours: int) -> datetime:
    return datetime.now(UTC) - timedelta(hours=draw.randrange(hours))
