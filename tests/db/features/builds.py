"""Builds of steps and training set, what owners and clients do to rows behind them, and a build from nothing beside them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from rowguard.operations.importer import load_history
from sql_scoring.features.build import PROJECT_DIR, run_dbt
from tests.fix_database import Workspace

MODELS = ["--select", "merchant_risk", "user_risk", "training_features", "training_set"]
NOW = datetime.now(UTC).replace(microsecond=0)
PLACES = ["DE", "FR", None]


def lengthen_feature_list(lines: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds go from a copy of the dbt project in the folder, whose feature list ends with these lines."""
    project = folder / "dbt"
    shutil.copytree(PROJECT_DIR, project, ignore=shutil.ignore_patterns("target", "logs"))
    path = project / "macros" / "features" / "feature_list.sql"
    text = path.read_text()
    assert text.count("{% endset %}") == 1
    path.write_text(text.replace("{% endset %}", lines + "{% endset %}"))
    monkeypatch.setattr("sql_scoring.features.build.PROJECT_DIR", project)


def build(workspace: Workspace, *arguments: str) -> None:
    run_dbt(["run", *arguments, *MODELS], workspace.url, workspace.settings)


def assert_as_from_nothing(workspace: Workspace, *arguments: str) -> None:
    built = [training(workspace), _keys(workspace), _steps(workspace)]
    build(workspace, "--full-refresh", *arguments)
    assert built == [training(workspace), _keys(workspace), _steps(workspace)]


def load(
    workspace: Workspace, draw: random.Random, count: int, users: Sequence[int] = (1, 2, 3, 4, 5, 6)
) -> None:
    rows = [
        {
            "occurred_at": NOW - timedelta(minutes=draw.randrange(60, 60 * 24 * 45)),
            "user_id": draw.choice(users),
            "merchant_id": draw.choice([1, 2, 3, None]),
            "location": draw.choice(PLACES),
            "amount": f"{draw.randrange(1, 5000)}.25",
            "is_fraud": draw.random() < 0.3,
        }
        for _ in range(count)
    ]
    load_rows(workspace, draw, rows)


def load_rows(workspace: Workspace, draw: random.Random, rows: list[dict[str, Any]]) -> None:
    """As history, labelled up to three days later."""
    load_history(
        workspace.url,
        pa.Table.from_pylist(rows).to_batches(),
        label_delay=timedelta(days=draw.randrange(0, 4)),
        source="test",
    )


def insert_late(connection: psycopg.Connection, draw: random.Random) -> None:
    for _ in range(5):
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at) VALUES (%s, %s, %s, %s, %s)",
            [
                draw.randrange(1, 7),
                draw.randrange(1, 100),
                draw.choice([1, 2, 9]),
                draw.choice(PLACES),
                draw.choice([None, NOW - timedelta(hours=draw.randrange(900))]),
            ],
        )


def change(columns: str, count: int = 4) -> Any:
    """An UPDATE of some rows, whichever they are."""

    def act(connection: psycopg.Connection, draw: random.Random) -> None:
        connection.execute(
            f"UPDATE transactions SET {columns} WHERE transaction_id IN (SELECT transaction_id FROM transactions"
            " ORDER BY hashint8extended(transaction_id, %s) LIMIT %s)".encode(),
            [draw.randrange(1000), count],
        )

    return act


def delete(connection: psycopg.Connection, draw: random.Random) -> None:
    connection.execute(
        "DELETE FROM transactions WHERE transaction_id IN (SELECT transaction_id FROM transactions"
        " ORDER BY hashint8extended(transaction_id, %s) LIMIT 4)",
        [draw.randrange(1000)],
    )


def _give_away(connection: psycopg.Connection, draw: random.Random) -> None:
    """Rows of another user: their findings go first, which name the row by its user."""
    some = "transaction_id IN (SELECT t.transaction_id FROM transactions AS t ORDER BY hashint8extended(t.transaction_id, %s) LIMIT 2)"
    seed = draw.randrange(1000)
    connection.execute(f"DELETE FROM fraud_labels WHERE {some}".encode(), [seed])
    connection.execute(f"UPDATE transactions SET user_id = user_id %% 6 + 1 WHERE {some}".encode(), [seed])


def _relabel(connection: psycopg.Connection, draw: random.Random) -> None:
    """Findings that are changed in place, moved in time, and taken back."""
    some = "label_id IN (SELECT label_id FROM fraud_labels ORDER BY hashint8extended(label_id, %s) LIMIT 4)"
    for change in (
        "UPDATE fraud_labels SET is_fraud = NOT is_fraud",
        "UPDATE fraud_labels SET labelled_at = labelled_at - interval '3 days'",
        "DELETE FROM fraud_labels",
    ):
        connection.execute(f"{change} WHERE {some}".encode(), [draw.randrange(1000)])


def _move_home(connection: psycopg.Connection, draw: random.Random) -> None:
    connection.execute(
        "INSERT INTO users (user_id, home_location) VALUES (%s, %s)"
        " ON CONFLICT (user_id) DO UPDATE SET home_location = excluded.home_location",
        [draw.randrange(1, 7), draw.choice(PLACES)],
    )


def _rewrite_homes(connection: psycopg.Connection, draw: random.Random) -> None:
    connection.execute("UPDATE scoring.user_home_history SET valid_from = valid_from - interval '20 days'")
    connection.execute("DELETE FROM scoring.user_home_history WHERE user_id = %s", [draw.randrange(1, 7)])


ACTS = [
    insert_late,
    change("amount = amount + 7"),
    change("occurred_at = occurred_at + interval '40 hours'"),
    change("occurred_at = occurred_at - interval '9 days'"),
    _give_away,
    change("merchant_id = 2"),
    change("merchant_id = NULL"),
    change("location = 'FR'"),
    change("is_history = NOT is_history", 2),
    delete,
    _relabel,
    _move_home,
    _rewrite_homes,
]


def built_hash8(connection: psycopg.Connection) -> str:
    row = connection.execute(
        "SELECT left(feature_hash, 8) FROM features.feature_definitions LIMIT 1"
    ).fetchone()
    assert row is not None
    return str(row[0])


def training(workspace: Workspace, which: str = "is_history") -> list[tuple[Any, ...]]:
    with workspace.connect() as connection:
        return connection.execute(
            "SELECT user_id, transaction_id, occurred_at, feature_values FROM features.training_set"
            f" WHERE {which} ORDER BY 1, 2".encode()
        ).fetchall()


def _keys(workspace: Workspace) -> list[tuple[Any, ...]]:
    with workspace.connect() as connection:
        return connection.execute(
            "SELECT user_id, transaction_id, occurred_at, is_history FROM features.training_set ORDER BY 1, 2"
        ).fetchall()


def _steps(workspace: Workspace) -> list[tuple[Any, ...]]:
    with workspace.connect() as connection:
        return connection.execute(
            f"SELECT * FROM features.merchant_risk_{built_hash8(connection)} ORDER BY 1, 2".encode()
        ).fetchall()
