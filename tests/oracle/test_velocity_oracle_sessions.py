"""Many sessions at once, some of which hold a user's lock for longer than others wait: every decision is one that the
second computation allows, and not all of them are so by arrival."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.fix_database import Workspace
from tests.oracle.velocity_oracle import recompute
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

USERS = 40
SESSIONS = 8
LEAST_S = 8.0
LEAST_ROWS = 300
INSERT = "INSERT INTO transactions (user_id, amount, location, occurred_at) VALUES (%s, %s, 'DE', %s)"
MANY = (
    "INSERT INTO transactions (user_id, amount, location, occurred_at)"
    " SELECT %s, %s + g, 'DE', %s FROM generate_series(1, 3) AS g"
)


class Session:
    """One client that pays at random: now, late or ahead, several rows a statement, two statements a transaction."""

    def __init__(self, workspace: Workspace, seed: int, is_over: threading.Event) -> None:
        self._workspace = workspace
        self._chance = random.Random(seed)
        self._is_over = is_over
        self.failed: list[BaseException] = []

    def run(self) -> None:
        try:
            with self._workspace.connect() as connection:
                connection.execute("SET deadlock_timeout = '50ms'")
                while not self._is_over.is_set():
                    self._pay(connection)
        except BaseException as error:
            self.failed.append(error)

    def _pay(self, connection: psycopg.Connection) -> None:
        chance, user = self._chance, 900 + self._chance.randint(1, USERS)
        hours = chance.uniform(-900, 20) if chance.random() < 0.5 else None
        at = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
        kind = chance.random()
        if kind < 0.3:
            with connection.transaction():
                connection.execute(INSERT, (user, chance.randint(1, 500), at))
                time.sleep(chance.uniform(0, 0.12))
                if chance.random() < 0.5:
                    connection.execute(INSERT, (user, chance.randint(1, 500), at))
        else:
            connection.execute(MANY if kind < 0.4 else INSERT, (user, chance.randint(1, 500), at))


def test_every_decision_of_many_sessions_is_a_right_one(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 40)")
    is_over = threading.Event()
    sessions = [Session(scored, seed, is_over) for seed in range(SESSIONS)]
    threads = [threading.Thread(target=session.run) for session in sessions]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        with scored.connect() as connection:

            def has_shown_enough() -> bool:
                """Enough rows, and some decisions that were next to an open one."""
                assert [session.failed for session in sessions if session.failed] == []
                if time.monotonic() < began + LEAST_S:
                    return False
                found = recompute(connection, open_for=timedelta(0))
                return found.rows > LEAST_ROWS and found.wrong > 0

            wait_until(has_shown_enough, "a decision was next to an open row", seconds=600)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert [session.failed for session in sessions if session.failed] == []
    with scored.connect() as connection:
        found = recompute(connection)
        by_arrival = recompute(connection, open_for=timedelta(0))
    assert (found.wrong, found.examples) == (0, ())
    assert found.rows > LEAST_ROWS and found.near_open_rows
    assert by_arrival.wrong > 0
