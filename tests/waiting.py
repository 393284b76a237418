"""Waiting for what happens when it happens. Deadlines are for what hangs, so that a busy machine never meets one."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

LONG_S = 120.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = LONG_S) -> None:
    """Returns as soon as the condition holds, and fails with `what` when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.02)


def wait_for_sessions(connection: psycopg.Connection, condition: str, least: int = 1) -> None:
    """Until so many other sessions of the database are as the SQL condition on pg_stat_activity says."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        f" AND ({condition})"
    )

    def are_there() -> bool:
        row = connection.execute(query.encode()).fetchone()
        return row is not None and row[0] >= least

    wait_until(are_there, f"{least} sessions with {condition}")


def assert_quicker(seconds: float, act: Callable[[], object], tries: int = 20) -> None:
    """One of the tries takes less than the time: others' load delays some, a wait that is always there delays all."""
    took = []
    for _ in range(tries):
        began = time.monotonic()
        act()
        took.append(time.monotonic() - began)
        if took[-1] < seconds:
            return
    raise AssertionError(f"never quicker than {seconds} s: {min(took):.2f} s at best of {tries}")
