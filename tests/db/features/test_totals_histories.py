"""Running totals under random histories of several sessions at once: inserts in and out of order, several a statement,
old snapshots, savepoints, rollbacks, transactions that hang until others stop waiting, the owner's changes, settling.

At any moment a user of whom every row carries totals has the right ones; in the end all have."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.db.features.totals import Connection, assert_recomputed, wrong_totals
from tests.fix_database import Workspace
from tests.user_keys import USER_ID_TYPE, user
from tests.waiting import wait_until

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
USERS = (1, 2, 3)
SESSIONS = 6
LEAST_S = 5.0
INSERT = "INSERT INTO transactions (user_id, amount, occurred_at) VALUES (%s, %s, %s)"
PICKED = (
    " WHERE (user_id, transaction_id) IN (SELECT user_id, transaction_id FROM transactions WHERE user_id = %s"
    " ORDER BY occurred_at OFFSET %s LIMIT 2)"
)
# What a client tries again: deadlocks, old snapshots that lost, waits that were too long.
RETRIED = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
)


class Session:
    """One client, and the owner now and then."""

    def __init__(self, url: str, seed: str, is_over: threading.Event) -> None:
        self._url = url
        self._chance = random.Random(seed)
        self._is_over = is_over
        self._began = time.monotonic()
        self.failed: list[BaseException] = []
        self.done: dict[str, int] = {}

    def run(self) -> None:
        deeds: tuple[Callable[[Connection], None], ...] = (
            self._insert, self._insert, self._insert, self._many, self._old_snapshot, self._savepoint,
            self._rolled_back, self._hanging, self._delete, self._delete_oldest, self._change, self._settle,
        )  # fmt: skip
        try:
            while not self._is_over.is_set():
                deed = self._chance.choice(deeds)
                with psycopg.connect(self._url, autocommit=True) as connection:
                    connection.execute("SET deadlock_timeout = '50ms'")
                    try:
                        for _ in range(self._chance.randint(1, 8)):
                            deed(connection)
                            self.done[deed.__name__] = self.done.get(deed.__name__, 0) + 1
                    except RETRIED:
                        pass
        except BaseException as error:
            self.failed.append(error)

    def _values(self) -> tuple[int, int, datetime]:
        """Around a moment that moves on, often late, sometimes at the same instant as others."""
        minute = (time.monotonic() - self._began) * 20
        late = self._chance.choice((0, 0, 0, self._chance.uniform(0, 5), self._chance.uniform(0, 60)))
        at = NOW + timedelta(minutes=round(minute - late, self._chance.choice((0, 6))))
        return self._chance.choice(USERS), self._chance.randrange(1, 500), at

    def _insert(self, connection: Connection) -> None:
        connection.execute(INSERT, self._values())

    def _many(self, connection: Connection) -> None:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at)"
            " SELECT %s, g, %s::timestamptz - g * interval '3 minutes' FROM generate_series(1, 4) AS g",
            (self._values()[0], self._values()[2]),
        )

    def _old_snapshot(self, connection: Connection) -> None:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT count(*) FROM transactions")
            time.sleep(self._chance.uniform(0, 0.03))
            connection.execute(INSERT, self._values())

    def _savepoint(self, connection: Connection) -> None:
        with connection.transaction():
            connection.execute(INSERT, self._values())
            connection.execute("SAVEPOINT s")
            connection.execute(INSERT, self._values())
            connection.execute(self._chance.choice((b"ROLLBACK TO SAVEPOINT s", b"RELEASE SAVEPOINT s")))
            connection.execute(INSERT, self._values())

    def _rolled_back(self, connection: Connection) -> None:
        with connection.transaction(force_rollback=True):
            connection.execute(INSERT, self._values())
            connection.execute(INSERT, self._values())

    def _hanging(self, connection: Connection) -> None:
        """Longer than others wait for the user's lock: the policy takes their rows without it."""
        with connection.transaction():
            connection.execute(INSERT, self._values())
            time.sleep(self._chance.uniform(0, 0.15))
            connection.execute(INSERT, self._values())

    def _delete(self, connection: Connection) -> None:
        self._owner(connection, "DELETE FROM transactions" + PICKED, self._chance.randrange(12))

    def _delete_oldest(self, connection: Connection) -> None:
        self._owner(connection, "DELETE FROM transactions" + PICKED, 0)

    def _change(self, connection: Connection) -> None:
        change = self._chance.choice(
            (
                "amount = amount + 1",
                "occurred_at = occurred_at - interval '7 minutes'",
                f"user_id = CASE user_id WHEN '{user(1)}' THEN '{user(2)}' WHEN '{user(2)}' THEN '{user(3)}' ELSE '{user(1)}' END::{USER_ID_TYPE}",
            )
        )
        self._owner(connection, f"UPDATE transactions SET {change}" + PICKED, self._chance.randrange(12))

    def _owner(self, connection: Connection, query: str, offset: int) -> None:
        with connection.transaction():
            connection.execute(query.encode(), (self._chance.choice(USERS), offset))
            time.sleep(self._chance.uniform(0, 0.05))

    def _settle(self, connection: Connection) -> None:
        connection.execute("SELECT scoring.recompute_totals(%s)", [[user(self._chance.choice(USERS))]])


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_several_sessions_at_once_leave_no_wrong_total(migrated: Workspace, seed: int) -> None:
    with migrated.connect() as connection:
        connection.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 60)")
    is_over = threading.Event()
    sessions = [Session(migrated.url, f"{seed}-{number}", is_over) for number in range(SESSIONS)]
    threads = [threading.Thread(target=session.run) for session in sessions]
    began, looks = time.monotonic(), 0
    for thread in threads:
        thread.start()
    try:
        with migrated.connect() as connection:

            def has_shown_all() -> bool:
                """Every action ran, one session gave up waiting, and there were enough checks."""
                nonlocal looks
                assert wrong_totals(connection) == []
                looks += 1
                without_lock = connection.execute(
                    "SELECT count(*) FROM transactions WHERE features_caveat = 'lock_timeout'"
                ).fetchone()
                done = {name for session in sessions for name in session.done.copy()}
                return (
                    time.monotonic() > began + LEAST_S
                    and looks > 10
                    and len(done) == 10
                    and without_lock is not None
                    and without_lock[0] > 0
                )

            wait_until(has_shown_all, "every action ran, and one session gave up waiting", seconds=600)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert [session.failed for session in sessions if session.failed] == []
    with migrated.connect() as connection:
        assert wrong_totals(connection) == []
    assert_recomputed(migrated)
