"""What the owner changes in place, removes or adds behind a build: the next ordinary build is one from nothing."""

from __future__ import annotations

import os
import random

import pytest

from sql_scoring.features.build import run_dbt
from sql_scoring.features.totals import settle_totals
from tests.db.features.builds import (
    ACTS,
    assert_as_from_nothing,
    build,
    built_hash8,
    change,
    delete,
    insert_late,
    load,
    training,
)
from tests.fix_database import Workspace


def test_random_changes_by_the_owner_are_taken_up(migrated: Workspace) -> None:
    draw = random.Random(int(os.environ.get("ROWGUARD_TEST_SEED", "5")))
    load(migrated, draw, 150)
    build(migrated)
    for number in range(int(os.environ.get("ROWGUARD_TEST_ROUNDS", "4"))):
        with migrated.connect() as connection:
            for act in draw.sample(ACTS, 5) if number else ACTS:
                act(connection, draw)
        if number % 2:
            load(migrated, draw, 20)
        settle_totals(migrated.url)
        build(migrated)
        if number % 3 == 2:
            build(migrated)  # with nothing new
    assert_as_from_nothing(migrated)


def test_a_first_home_changes_rows_built_before(migrated: Workspace) -> None:
    load(migrated, random.Random(1), 60)
    build(migrated)
    before = training(migrated)
    with migrated.connect() as connection:
        connection.execute(
            "INSERT INTO users (user_id, home_location) SELECT u, 'DE' FROM generate_series(1, 6) AS u"
        )
    build(migrated)
    assert training(migrated) != before
    with migrated.connect() as connection:
        connection.execute("UPDATE scoring.user_home_history SET home_location = 'FR' WHERE user_id < 3")
        connection.execute("DELETE FROM scoring.user_home_history WHERE user_id = 4")
    build(migrated)
    assert_as_from_nothing(migrated)


@pytest.mark.parametrize("is_seen", [True, False])
def test_rows_beside_an_open_transaction(migrated: Workspace, is_seen: bool) -> None:
    """What was committed while an older transaction was open may have been seen by a build or not; what that transaction
    wrote was not. Both are found, and the former also when they are gone or another's by then."""
    draw = random.Random(2)
    load(migrated, draw, 20)
    build(migrated)
    with migrated.connect() as late, migrated.connect() as connection, late.transaction():
        # Of users of their own: a load waits for those that an open transaction holds, and whoever changes a row of a
        # user with older ones has one of these written anew, which is noticed anyhow.
        late.execute("INSERT INTO transactions (user_id, amount, merchant_id) VALUES (50, 1, 2)")
        load(migrated, draw, 40, users=[60, 61, 62])
        if is_seen:
            build(migrated)
        connection.execute("DELETE FROM transactions WHERE user_id = 60")
        connection.execute(
            "UPDATE transactions SET occurred_at = occurred_at - interval '3 days', merchant_id = 4 WHERE user_id = 61"
        )
    build(migrated)
    assert_as_from_nothing(migrated)


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
    load(migrated, draw, 80)
    build(migrated)
    with migrated.connect() as connection:
        hash8 = built_hash8(connection)
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
    load(migrated, draw, 10)
    build(migrated)
    assert_as_from_nothing(migrated)


def test_without_versions_of_rows_everything_is_compared(migrated: Workspace) -> None:
    """As on shards: what is new, gone or at another time is found."""
    is_sharded = ("--vars", "{row_versions: false}")
    run_dbt(["run", *is_sharded, "--select", "stg_transactions"], migrated.url, migrated.settings)
    draw = random.Random(7)
    load(migrated, draw, 60)
    build(migrated, *is_sharded)
    with migrated.connect() as connection:
        delete(connection, draw)
        change("occurred_at = occurred_at + interval '40 hours'")(connection, draw)
        insert_late(connection, draw)
    build(migrated, *is_sharded)
    assert_as_from_nothing(migrated, *is_sharded)


def test_rows_that_a_build_lost_come_back(migrated: Workspace) -> None:
    """As many as are built and as many as were seen must agree; otherwise everything is compared."""
    load(migrated, random.Random(6), 60)
    build(migrated)
    with migrated.connect() as connection:
        connection.execute(
            f"DELETE FROM features.training_features_{built_hash8(connection)} WHERE user_id < 3".encode()
        )
    build(migrated)
    assert_as_from_nothing(migrated)


def test_a_live_row_keeps_what_it_saw(migrated: Workspace) -> None:
    """A row that was decided follows neither changes of what it saw nor its own; its instant does."""
    with migrated.connect() as connection:
        for amount in (10, 20, 30):
            connection.execute("INSERT INTO transactions (user_id, amount) VALUES (1, %s)", [amount])
    build(migrated)
    before = training(migrated, "NOT is_history")
    with migrated.connect() as connection:
        connection.execute("UPDATE transactions SET amount = amount + 1")
        connection.execute("DELETE FROM transactions WHERE amount = 11")
    settle_totals(migrated.url)
    build(migrated)
    assert training(migrated, "NOT is_history") == before[1:]
    with migrated.connect() as connection:
        connection.execute(
            "UPDATE transactions SET occurred_at = occurred_at - interval '1 day', is_history = true"
        )
    build(migrated)
    assert_as_from_nothing(migrated)
