"""A build sees one snapshot: what commits between two of its statements is the next build's, whole or not at all."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from sql_scoring.features.build import FeatureBuild, build_features, run_dbt
from sql_scoring.features.totals import settle_totals
from tests.db.features.builds import (
    ACTS,
    NOW,
    assert_as_from_nothing,
    build,
    built_hash8,
    load,
    training,
)
from tests.fix_database import Workspace, _database, _settings
from tests.waiting import wait_for_sessions

TRAINING = ["run", "--select", "training_features"]
STEPS = ["run", "--select", "merchant_risk", "user_risk"]


def _insert_row(connection: psycopg.Connection) -> None:
    """Before a few of the user's rows. An old snapshot leaves the running totals of those as they are; otherwise they
    would be written anew, and built again for that alone."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)"
            " VALUES (1, 7777, 1, 'DE', %s)",
            [NOW - timedelta(days=10)],
        )


def _delete_row(connection: psycopg.Connection) -> None:
    """Marks the user's first row, further back than a window is long. Totals are not settled before the next build: it
    would write the rows behind the mark anew."""
    connection.execute("DELETE FROM transactions WHERE amount = 7777")


def _insert_home(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO users (user_id, home_location) VALUES (1, 'DE')")


def _delete_home(connection: psycopg.Connection) -> None:
    connection.execute("DELETE FROM users WHERE user_id = 1")
    connection.execute("DELETE FROM scoring.user_home_history WHERE user_id = 1")


@pytest.fixture(scope="module")
def half_built_template(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """Rows of two users that were built, more that were not, and their steps; tests clone it and leave it alone."""
    with _database(server_url, migrated_template.url) as url:
        workspace = Workspace(url, _settings(url, tmp_path_factory.mktemp("half_built")))
        draw = random.Random(11)
        load(workspace, draw, 30, users=[1, 2])
        build(workspace)
        load(workspace, draw, 30, users=[1, 2])
        run_dbt(STEPS, workspace.url, workspace.settings)
        yield workspace


@pytest.fixture
def half_built(server_url: str, half_built_template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A clone of it."""
    with _database(server_url, half_built_template.url) as url:
        yield Workspace(url, _settings(url, tmp_path / "half_built"))


@pytest.mark.parametrize(
    ("commit", "undo"),
    [(_insert_row, _delete_row), (_insert_home, _delete_home)],
    ids=["transaction", "home"],
)
@pytest.mark.parametrize("is_after_a_killed_build", [False, True])
def test_what_commits_within_a_training_build_and_is_gone_by_the_next_leaves_nothing(
    half_built: Workspace,
    commit: Callable[[psycopg.Connection], None],
    undo: Callable[[psycopg.Connection], None],
    is_after_a_killed_build: bool,
) -> None:
    """Between the hook, which finds the rows to build, and the statement that makes features of them."""
    with half_built.connect() as connection:
        hash8 = built_hash8(connection)
        if is_after_a_killed_build:
            # dbt drops it in the transaction of the build, before its hooks: a query of an ordinary snapshot.
            connection.execute(
                f"CREATE TABLE features.training_features_{hash8}__dbt_backup AS SELECT 1 AS one".encode()
            )
        # The steps are read by the last statement alone.
        with _halted_at(half_built, f"features.merchant_risk_{hash8}", TRAINING) as halted:
            commit(connection)
        halted.result()
        undo(connection)
    build(half_built)
    assert_as_from_nothing(half_built)


def test_what_commits_within_a_build_of_the_steps_and_is_gone_by_the_next_leaves_nothing(
    migrated: Workspace,
) -> None:
    """Between the count of the rows and their sums, which are the first to read findings."""
    load(migrated, random.Random(12), 60)
    build(migrated)
    load(migrated, random.Random(13), 30)
    with migrated.connect() as connection:
        with _halted_at(migrated, "public.fraud_labels", STEPS) as halted:
            _insert_row(connection)
            connection.execute(
                "UPDATE transactions SET merchant_id = 2 WHERE user_id = 3 AND merchant_id = 1"
            )
        halted.result()
        _delete_row(connection)
        connection.execute("UPDATE transactions SET merchant_id = 1 WHERE user_id = 3 AND merchant_id = 2")
    settle_totals(migrated.url)
    build(migrated)
    assert_as_from_nothing(migrated)


def test_a_build_waits_for_another_and_sees_what_it_made(half_built: Workspace) -> None:
    """Both would add the same rows, and each its note."""
    with half_built.connect() as connection, ThreadPoolExecutor(1) as other:
        hash8 = built_hash8(connection)
        with _halted_at(half_built, f"features.merchant_risk_{hash8}", TRAINING) as first:
            second = other.submit(run_dbt, TRAINING, half_built.url, half_built.settings)
            _wait_for_waiting(connection, 2)
        first.result()
        second.result()
        notes = connection.execute(f"SELECT count(*) FROM features.training_seen_{hash8}".encode()).fetchone()
    assert notes == (1,)
    build(half_built)
    assert_as_from_nothing(half_built)


def test_steps_from_nothing_wait_for_the_training_set_that_reads_them(half_built: Workspace) -> None:
    """A table that is swapped behind a snapshot is empty to it. Clients go on reading the steps meanwhile."""
    with half_built.connect() as connection, ThreadPoolExecutor(1) as other:
        hash8 = built_hash8(connection)
        # Homes are looked at by the hook, after the snapshot is taken and before any step is read.
        with _halted_at(half_built, "scoring.user_home_history", TRAINING) as first:
            swap = other.submit(run_dbt, [*STEPS, "--full-refresh"], half_built.url, half_built.settings)
            _wait_for_waiting(connection, 2)
            connection.execute(f"SELECT count(*) FROM features.merchant_risk_{hash8}".encode())
        first.result()
        swap.result()
    before = training(half_built)
    build(half_built)
    assert training(half_built) == before
    assert_as_from_nothing(half_built)


def test_builds_beside_all_that_owners_and_clients_do(migrated: Workspace) -> None:
    """None fails, and the first one in quiet is one from nothing."""
    draw = random.Random(18)
    load(migrated, draw, 150)
    build(migrated)
    is_over = threading.Event()

    def act_on() -> int:
        done = 0
        with migrated.connect() as connection:
            while not is_over.is_set():
                try:
                    draw.choice(ACTS)(connection, draw)
                    done += 1
                except psycopg.errors.ForeignKeyViolation:
                    pass  # of a row with a finding, which its owner takes back first
        return done

    with ThreadPoolExecutor(1) as others:
        acting = others.submit(act_on)
        try:
            for _ in range(3):
                build(migrated)
        finally:
            is_over.set()
        assert acting.result() > 0
    build_features(migrated.url, migrated.settings)
    assert_as_from_nothing(migrated)


@contextmanager
def _halted_at(workspace: Workspace, table: str, arguments: list[str]) -> Iterator[Future[FeatureBuild]]:
    """A dbt run that waits for a table until the block ends; what it came to is told afterwards."""
    with (
        workspace.connect() as watcher,
        workspace.connect() as holder,
        ThreadPoolExecutor(1) as runner,
        holder.transaction(),
    ):
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        run = runner.submit(run_dbt, arguments, workspace.url, workspace.settings)
        _wait_for_waiting(watcher, 1)
        yield run


def _wait_for_waiting(connection: psycopg.Connection, least: int) -> None:
    """Until so many sessions of dbt wait for a lock, whatever kind of lock it is."""
    wait_for_sessions(connection, "application_name = 'dbt' AND wait_event_type = 'Lock'", least)
