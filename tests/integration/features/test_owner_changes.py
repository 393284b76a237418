"""What the owner changes in place, removes or adds behind a build: the next ordinary build is one from nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from rowguard.feature_build import run_dbt
from rowguard.history import load_history
from sql_scoring.totals import settle_totals
from tests.fix_database import Workspace

MODELS = ["--select", "merchant_risk", "user_risk", "training_features", "training_set"]
NOW = datetime.now(UTC).replace(microsecond=0)
PLACES = ["DE", "FR", None]


def test_random_changes_by_the_owner_are_taken_up(migrated: Workspace) -> None:
    draw = random.Random(int(os.environ.get("ROWGUARD_TEST_SEED", "5")))
    _load(migrated, draw, 150)
    _build(migrated)
    for number in range(int(os.environ.get("ROWGUARD_TEST_ROUNDS", "4"))):
        with migrated.connect() as connection:
            for act in draw.sample(ACTS, 5) if number else ACTS:
                act(connection, draw)
        if number % 2:
            _load(migrated, draw, 20)
        settle_totals(migrated.url)
        _build(migrated)
        if number % 3 == 2:
            _build(migrated)  # with nothing new
    _assert_as_from_nothing(migrated)


def test_a_first_home_changes_rows_built_before(migrated: Workspace) -> None:
    _load(migrated, random.Random(1), 60)
    _build(migrated)
    before = _training(migrated)
    with migrated.connect() as connection:
        connection.execute(
            "INSERT INTO users (user_id, home_location) SELECT u, 'DE' FROM generate_series(1, 6) AS u"
        )
    _build(migrated)
    assert _training(migrated) != before
    with migrated.connect() as connection:
        connection.execute("UPDATE scoring.user_home_history SET home_location = 'FR' WHERE user_id < 3")
        connection.execute("DELETE FROM scoring.user_home_history WHERE user_id = 4")
    _build(migrated)
    _assert_as_from_nothing(migrated)


@pytest.mark.parametrize("is_seen", [True, False])
def test_rows_beside_an_open_transaction(migrated: Workspace, is_seen: bool) -> None:
    """What was committed while an older transaction was open may have been seen by a build or not; what that transaction
    wrote was not. Both are found, and the former also when they are gone or another's by then."""
    draw = random.Random(2)
    _load(migrated, draw, 20)
    _build(migrated)
    with migrated.connect() as late, migrated.connect() as connection, late.transaction():
        # Of users of their own: a load waits for those that an open transaction holds, and whoever changes a row of a
        # user with older ones has one of these written anew, which is noticed anyhow.
        late.execute("INSERT INTO transactions (user_id, amount, merchant_id) VALUES (50, 1, 2)")
        _load(migrated, draw, 40, users=[60, 61, 62])
        if is_seen:
            _build(migrated)
        connection.execute("DELETE FROM transactions WHERE user_id = 60")
        connection.execute(
            "UPDATE transactions SET occurred_at = occurred_at - interval '3 days', merchant_id = 4 WHERE user_id = 61"
        )
    _build(migrated)
    _assert_as_from_nothing(migrated)


@pytest.mark.parametrize(
    "forgotten",
    [
        "DELETE FROM features.{reader}_seen_{hash8}",
        "UPDATE features.{reader}_seen_{hash8} SET system_identifier = system_identifier + 1",
        "UPDATE features.{reader}_seen_{hash8} SET boundary = '1000000000000000'::xid8",
    ],
    ids=["no note", "of another server", "of the future"],
)
def test_without_a_note_everything_is_compared(migrated: Workspace, forgotten: str) -> None:
    """As after a restore: what is new, gone or at another time is found, and rows that a build lost."""
    draw = random.Random(4)
    _load(migrated, draw, 80)
    _build(migrated)
    with migrated.connect() as connection:
        hash8 = _hash8(connection)
        connection.execute(
            "DELETE FROM transactions WHERE transaction_id IN"
            " (SELECT transaction_id FROM transactions ORDER BY transaction_id LIMIT 7)"
        )
        connection.execute(
            "UPDATE transactions SET occurred_at = occurred_at + interval '2 days' WHERE user_id = 2"
        )
        connection.execute(f"DELETE FROM features.training_features_{hash8} WHERE user_id = 1".encode())
        for reader in ("merchant", "training"):
            connection.execute(forgotten.format(reader=reader, hash8=hash8).encode())
    _load(migrated, draw, 10)
    _build(migrated)
    _assert_as_from_nothing(migrated)


def test_without_versions_of_rows_everything_is_compared(migrated: Workspace) -> None:
    """As on shards: what is new, gone or at another time is found."""
    is_sharded = ("--vars", "{row_versions: false}")
    run_dbt(["run", *is_sharded, "--select", "stg_transactions"], migrated.url, migrated.settings)
    draw = random.Random(7)
    _load(migrated, draw, 60)
    _build(migrated, *is_sharded)
    with migrated.connect() as connection:
        _delete(connection, draw)
        _change("occurred_at = occurred_at + interval '40 hours'")(connection, draw)
        _insert_late(connection, draw)
    _build(migrated, *is_sharded)
    _assert_as_from_nothing(migrated, *is_sharded)


def test_rows_that_a_build_lost_come_back(migrated: Workspace) -> None:
    """As many as are built and as many as were seen must agree; otherwise everything is compared."""
    _load(migrated, random.Random(6), 60)
    _build(migrated)
    with migrated.connect() as connection:
        connection.execute(
            f"DELETE FROM features.training_features_{_hash8(connection)} WHERE user_id < 3".encode()
        )
    _build(migrated)
    _assert_as_from_nothing(migrated)


def test_a_live_row_keeps_what_it_saw(migrated: Workspace) -> None:
    """A row that was decided follows neither changes of what it saw nor its own; its instant does."""
    with migrated.connect() as connection:
        for amount in (10, 20, 30):
            connection.execute("INSERT INTO transactions (user_id, amount) VALUES (1, %s)", [amount])
    _build(migrated)
    before = _training(migrated, "NOT is_history")
    with migrated.connect() as connection:
        connection.execute("UPDATE transactions SET amount = amount + 1")
        connection.execute("DELETE FROM transactions WHERE amount = 11")
    settle_totals(migrated.url)
    _build(migrated)
    assert _training(migrated, "NOT is_history") == before[1:]
    with migrated.connect() as connection:
        connection.execute(
            "UPDATE transactions SET occurred_at = occurred_at - interval '1 day', is_history = true"
        )
    _build(migrated)
    _assert_as_from_nothing(migrated)


def _build(workspace: Workspace, *arguments: str) -> None:
    run_dbt(["run", *arguments, *MODELS], workspace.url, workspace.settings)


def _assert_as_from_nothing(workspace: Workspace, *arguments: str) -> None:
    built = [_training(workspace), _keys(workspace), _steps(workspace)]
    _build(workspace, "--full-refresh", *arguments)
    assert built == [_training(workspace), _keys(workspace), _steps(workspace)]


def _load(
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
    load_history(
        workspace.url,
        pa.Table.from_pylist(rows).to_batches(),
        label_delay=timedelta(days=draw.randrange(0, 4)),
        source="test",
    )


def _insert_late(connection: psycopg.Connection, draw: random.Random) -> None:
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


def _change(columns: str, count: int = 4) -> Any:
    """An UPDATE of some rows, whichever they are."""

    def act(connection: psycopg.Connection, draw: random.Random) -> None:
        connection.execute(
            f"UPDATE transactions SET {columns} WHERE transaction_id IN (SELECT transaction_id FROM transactions"
            " ORDER BY hashint8extended(transaction_id, %s) LIMIT %s)".encode(),
            [draw.randrange(1000), count],
        )

    return act


def _delete(connection: psycopg.Connection, draw: random.Random) -> None:
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
    _insert_late,
    _change("amount = amount + 7"),
    _change("occurred_at = occurred_at + interval '40 hours'"),
    _change("occurred_at = occurred_at - interval '9 days'"),
    _give_away,
    _change("merchant_id = 2"),
    _change("merchant_id = NULL"),
    _change("location = 'FR'"),
    _change("is_history = NOT is_history", 2),
    _delete,
    _relabel,
    _move_home,
    _rewrite_homes,
]


def _hash8(connection: psycopg.Connection) -> str:
    row = connection.execute(
        "SELECT left(feature_hash, 8) FROM features.feature_definitions LIMIT 1"
    ).fetchone()
    assert row is not None
    return str(row[0])


def _training(workspace: Workspace, which: str = "is_history") -> list[tuple[Any, ...]]:
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
            f"SELECT * FROM features.merchant_risk_{_hash8(connection)} ORDER BY 1, 2".encode()
        ).fetchall()
