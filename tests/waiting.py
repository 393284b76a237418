"""Wait for conditions. Deadlines end what hangs; even a busy machine does not reach them."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

LONG_S = 120.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = LONG_S) -> None:
    """Return when the condition holds; fail with `what` if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.02)


def wait_for_sessions(connection: psycopg.Connection, condition: str, least: int = 1) -> None:
    """Wait until other sessions of the database fulfill an SQL condition on pg_stat_activity."""
    query = (
        "SELECT count(*) >= %s FROM pg_stat_activity"
        f" WHERE datname = current_database() AND pid <> pg_backend_pid() AND ({condition})"
    ).encode()
    wait_until(
        lambda: (connection.execute(query, (least,)).fetchone() or (False,))[0],
        f"{least} sessions with {condition}",
    )


def assert_quicker(seconds: float, act: Callable[[], object], tries: int = 20) -> None:
    """Assert that one try takes less than the time: load delays some tries, a fixed wait delays all."""
    durations = []
    for _ in range(tries):
        started = time.monotonic()
        act()
        durations.append(time.monotonic() - started)
        if durations[-1] < seconds:
            return
    raise AssertionError(f"never faster than {seconds} s: {min(durations):.2f} s at best of {tries}")
