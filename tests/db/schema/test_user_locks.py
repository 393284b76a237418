"""Transactions that share no user never wait for one another; those that do wait for a bounded time; every row is
decided, and says so where its features may miss a concurrent one."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from sql_scoring.features.totals import recompute_totals
from tests.db.features.totals import totals_pending_count, wrong_totals
from tests.fix_database import Workspace
from tests.user_keys import user
from tests.waiting import LONG_S

INSERT = "INSERT INTO transactions (user_id, amount) VALUES (%s, 1)"
BULK = "INSERT INTO transactions (user_id, amount) SELECT u, 1 FROM unnest(%s::bigint[]) AS u"
CAVEATS = "SELECT features_caveat, count(*)::integer FROM transactions WHERE user_id >= %s GROUP BY 1"
FIRST_USER = 100_000


def caveats(connection: psycopg.Connection) -> dict[str | None, int]:
    return dict(connection.execute(CAVEATS, [FIRST_USER]).fetchall())


def run_together(*actions: Callable[[], object]) -> None:
    """Run the actions in threads; raise what one of them raised."""
    failed: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=LONG_S)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


def test_strangers_in_opposite_orders_do_not_meet(migrated: Workspace) -> None:
    """Users 1 and 3137, and 2 and 796, have the same hash modulo 4,096."""
    with psycopg.connect(migrated.url) as first, psycopg.connect(migrated.url) as second:
        for connection, user in ((first, 1), (second, 2), (first, 796), (second, 3137)):
            connection.execute("SET LOCAL statement_timeout = '60s'")
            connection.execute(INSERT, [user])
        first.commit()
        second.commit()
        assert first.execute("SELECT count(*), count(features_caveat) FROM transactions").fetchone() == (4, 0)


def test_disjoint_bulk_writers_never_wait(migrated: Workspace) -> None:
    writers, statements, rows = 4, 5, 150

    def write(writer: int) -> None:
        with psycopg.connect(migrated.url) as connection:
            for statement in range(statements):
                # Every statement's users in another order.
                users = [
                    FIRST_USER + writer + writers * ((statement + 1) * 7919 * i % rows) for i in range(rows)
                ]
                connection.execute(BULK, [users])

    run_together(*[lambda writer=writer: write(writer) for writer in range(writers)])
    with migrated.connect() as connection:
        assert caveats(connection) == {None: writers * statements * rows}
        assert wrong_totals(connection) == []


def test_past_2000_users_rows_are_decided_without_the_lock_and_say_so(scored: Workspace) -> None:
    users = list(range(FIRST_USER, FIRST_USER + 2600))
    with psycopg.connect(scored.url) as bulk, scored.connect("rowguard_app") as client:
        bulk.execute(BULK, [users])
        held = bulk.execute(
            "SELECT count(*)::integer FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        ).fetchone()
        assert held is not None and 1800 <= held[0] <= 2128
        # No other session waits meanwhile, not even for a user whom the statement stored without the lock.
        client.execute("SET statement_timeout = '60s'")
        for user in (FIRST_USER - 1, users[-1]):
            row = client.execute(INSERT + " RETURNING fraud_flag, features_caveat", [user]).fetchone()
            assert row is not None and row[0] is not None and row[1] is None
        bulk.commit()
    with scored.connect() as owner:
        found = caveats(owner)
        assert set(found) == {None, "lock_limit"}
        assert 400 <= found["lock_limit"] <= 800
        unscored = owner.execute(
            "SELECT count(*) FROM transactions WHERE user_id >= %s AND fraud_flag IS NULL", [FIRST_USER]
        ).fetchone()
        assert unscored == (0,)
        # The user's next row sees it, and settles its totals.
        pending = totals_pending_count(owner)
        row = owner.execute(INSERT + " RETURNING user_txns_before", [users[-2]]).fetchone()
        assert row == (1,)
        assert totals_pending_count(owner) == pending - 1
        assert wrong_totals(owner) == []


def test_many_rows_of_few_users_take_no_more_locks_than_users(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute(BULK, [[FIRST_USER + i % 20 for i in range(3000)]])
        assert caveats(connection) == {None: 3000}


def test_users_in_opposite_orders_wait_once_and_are_decided(scored: Workspace) -> None:
    both_hold_one = threading.Barrier(2)

    def insert(first: int, second: int) -> None:
        with psycopg.connect(scored.url) as connection:
            connection.execute(INSERT, [first])
            both_hold_one.wait(timeout=LONG_S)
            connection.execute(INSERT, [second])

    one, other = FIRST_USER, FIRST_USER + 1
    run_together(lambda: insert(one, other), lambda: insert(other, one))
    with scored.connect() as owner:
        found = owner.execute(
            "SELECT fraud_flag IS NOT NULL, features_caveat FROM transactions WHERE user_id >= %s",
            [FIRST_USER],
        ).fetchall()
        assert len(found) == 4
        assert {decided for decided, _ in found} == {True}
        assert {caveat for _, caveat in found} == {None, "lock_timeout"}
        assert wrong_totals(owner) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_transactions_of_shared_users_are_all_decided(scored: Workspace, seed: int) -> None:
    """Statements of several users in any order, several to a transaction, some rolled back: no error, no row without
    a decision, and totals that are right or pending."""
    with scored.connect() as owner:
        owner.execute("SELECT scoring.set_failure_policy('fail_closed', 100)")

    def work(session: int) -> None:
        chance = random.Random(seed * 100 + session)
        with psycopg.connect(scored.url) as connection:
            for _ in range(12):
                for _ in range(chance.randint(1, 3)):
                    users = [FIRST_USER + chance.randint(0, 15) for _ in range(chance.randint(1, 8))]
                    connection.execute(BULK, [users])
                    time.sleep(chance.uniform(0, 0.03))
                if chance.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()

    run_together(*[lambda session=session: work(session) for session in range(6)])
    with scored.connect() as owner:
        counts = owner.execute(
            "SELECT count(*), count(fraud_flag), count(unscored_reason) FROM transactions WHERE user_id >= %s",
            [FIRST_USER],
        ).fetchone()
        assert counts is not None and counts[0] == counts[1] > 100 and counts[2] == 0
        # Of a user all of whose rows had the lock, each row saw exactly those that arrived before it.
        wrong = owner.execute(
            "SELECT user_id FROM transactions WHERE user_id >= %s GROUP BY user_id HAVING count(features_caveat) = 0"
            " AND array_agg(user_txns_before ORDER BY received_at)"
            " <> ARRAY(SELECT generate_series(0, count(*) - 1))",
            [FIRST_USER],
        ).fetchall()
        assert wrong == []
        assert wrong_totals(owner) == []
    recompute_totals(scored.url)
    with scored.connect() as owner:
        assert (totals_pending_count(owner), wrong_totals(owner)) == (0, [])


def test_a_transaction_waits_in_vain_once(migrated: Workspace) -> None:
    users = list(range(FIRST_USER, FIRST_USER + 60))
    with psycopg.connect(migrated.url) as holder, migrated.connect() as other:
        holder.execute(BULK, [users])
        other.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 1000)")
        started = time.monotonic()
        other.execute(BULK, [[*users, FIRST_USER - 1]])
        # 60 waits would take a minute.
        assert time.monotonic() - started < 30
        assert caveats(other) == {"lock_timeout": 60}
        holder.rollback()
        # The next transaction waits again, and has nothing to wait for.
        other.execute(BULK, [users])
        assert caveats(other) == {"lock_timeout": 60, None: 60}


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_row_on_an_old_snapshot_says_so(scored: Workspace, isolation: str) -> None:
    with psycopg.connect(scored.url) as old, scored.connect() as other:
        old.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
        old.execute("SELECT FROM users LIMIT 1")
        other.execute(INSERT, [FIRST_USER])
        row = old.execute(
            INSERT + " RETURNING fraud_flag IS NOT NULL, features_caveat, user_txns_before", [FIRST_USER]
        ).fetchone()
        assert row == (True, "old_snapshot", None)
        old.commit()
        row = other.execute(INSERT + " RETURNING features_caveat, user_txns_before", [FIRST_USER]).fetchone()
        assert row == (None, 2)


@pytest.mark.parametrize("isolation", ["READ UNCOMMITTED", "READ COMMITTED"])
def test_a_row_on_a_fresh_snapshot_has_no_caveat(migrated: Workspace, isolation: str) -> None:
    with psycopg.connect(migrated.url) as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
        row = connection.execute(
            INSERT + " RETURNING features_caveat, user_txns_before", [FIRST_USER]
        ).fetchone()
        assert row == (None, 0)


@pytest.mark.parametrize("value", ["", "x", "." * 128 + "1", "." * 5000, "'; DROP TABLE users"])
def test_what_a_session_sets_beforehand_does_not_keep_a_row_from_its_lock(
    migrated: Workspace, value: str
) -> None:
    with migrated.connect("rowguard_app") as client, migrated.connect() as owner:
        for setting in ("user_locks", "rows_to_count", "waited_in_vain", "load_history"):
            client.execute("SELECT set_config(%s, %s, false)", [f"rowguard.{setting}", value])
        for _ in range(3):
            client.execute(INSERT, [FIRST_USER])
        rows = owner.execute(
            "SELECT user_txns_before, features_caveat FROM transactions ORDER BY 1"
        ).fetchall()
        assert rows == [(0, None), (1, None), (2, None)]


def test_tools_write_on_conflict_without_a_condition(migrated: Workspace) -> None:
    statement = (
        "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (1, 1, 'k')"
        " ON CONFLICT (user_id, idempotency_key) DO NOTHING RETURNING user_id"
    )
    with migrated.connect("rowguard_app") as client:
        assert client.execute(statement).fetchall() == [(user(1),)]
        assert client.execute(statement).fetchall() == []
        for _ in range(2):  # rows without a key are never the same
            assert client.execute(statement.replace("'k'", "NULL")).fetchall() == [(user(1),)]


def test_applications_do_not_choose_ids(migrated: Workspace) -> None:
    """An id that the sequence has yet to give would make a later INSERT fail."""
    with migrated.connect("rowguard_app") as client, pytest.raises(psycopg.errors.InsufficientPrivilege):
        client.execute("INSERT INTO transactions (user_id, transaction_id, amount) VALUES (1, 2, 1)")


def test_the_documented_revocation_leaves_the_locks_to_inserts(scored: Workspace) -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/secure-the-database-and-api.md").read_text()
    found = re.search(r"```sql\n(DO \$\$\nDECLARE\n    f regprocedure;.*?)```", page, re.DOTALL)
    assert found is not None
    with (
        scored.connect() as owner,
        scored.connect("rowguard_readonly") as reader,
        scored.connect("rowguard_app") as app,
    ):
        owner.execute(found[1].replace("rowguard_owner", "CURRENT_USER").encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT pg_advisory_lock(1)")
        row = app.execute(
            INSERT + " RETURNING fraud_flag IS NOT NULL, features_caveat", [FIRST_USER]
        ).fetchone()
        assert row == (True, None)
