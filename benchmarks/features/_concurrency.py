"""Many sessions at once: what they see, and what the user's lock costs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from benchmarks.features._stage import Stage

FIRST = 2 * 10**9


@dataclass(frozen=True)
class Run:
    """N sessions, so many inserts each."""

    what: str
    sessions: int
    inserts: int
    per_second: float
    is_exact: bool | None


@dataclass(frozen=True)
class Crossed:
    """Transactions that insert for two users in opposite orders."""

    transactions: int
    deadlocks: int
    other_errors: int
    rows: int
    is_exact: bool


def run_sessions(
    stage: Stage, what: str, url: str, sessions: int, each: int, user_of: Callable[[int], int]
) -> Run:
    """Every session inserts for `user_of(session)`; exact when each user's rows saw 0, 1, 2, … before them."""
    barrier = threading.Barrier(sessions + 1)
    errors: list[BaseException] = []

    def work(session: int) -> None:
        try:
            with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
                connection.execute(
                    "INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [FIRST - 1 - session]
                )
                barrier.wait()
                for _ in range(each):
                    connection.execute(
                        "INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [user_of(session)]
                    )
        except BaseException as error:
            barrier.abort()
            errors.append(error)

    threads = [threading.Thread(target=work, args=(session,)) for session in range(sessions)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.monotonic()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    if errors:
        raise errors[0]
    users = {user_of(session) for session in range(sessions)}
    return Run(
        what,
        sessions,
        sessions * each,
        sessions * each / seconds,
        all(_is_exact(stage, user, sessions * each // len(users)) for user in users),
    )


def price_of_the_lock(stage: Stage, url: str, way: str, sessions: int, each: int, start: int) -> list[Run]:
    """One session alone, sessions on users of their own, sessions on one user."""
    return [
        run_sessions(stage, f"{way}: one session", url, 1, each, lambda _: FIRST + start),
        run_sessions(
            stage, f"{way}: {sessions} sessions, a user each", url, sessions, each,
            lambda session: FIRST + start + 10 + session,
        ),
        run_sessions(
            stage, f"{way}: {sessions} sessions, one user", url, sessions, each, lambda _: FIRST + start + 5
        ),
    ]  # fmt: skip


def crossed_users(stage: Stage, url: str, sessions: int, each: int, start: int) -> Crossed:
    """Half of the sessions insert for A and then B, the others for B and then A; what deadlocks is tried again."""
    one, other = FIRST + start, FIRST + start + 1
    counted = {"deadlocks": 0, "others": 0}
    guard = threading.Lock()

    def work(session: int) -> None:
        order = (one, other) if session % 2 else (other, one)
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            for _ in range(each):
                while True:
                    try:
                        with connection.transaction():
                            for user in order:
                                connection.execute(
                                    "INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [user]
                                )
                        break
                    except psycopg.errors.DeadlockDetected:
                        # A random pause for each, or the same two meet again.
                        time.sleep(random.uniform(0, 0.1))
                        with guard:
                            counted["deadlocks"] += 1
                    except psycopg.Error:
                        with guard:
                            counted["others"] += 1
                        break

    threads = [threading.Thread(target=work, args=(session,)) for session in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sessions * each
    return Crossed(
        total, counted["deadlocks"], counted["others"], 2 * total,
        all(_is_exact(stage, user, total) for user in (one, other)),
    )  # fmt: skip


def _is_exact(stage: Stage, user: int, count: int) -> bool:
    with stage.connect() as connection:
        rows = connection.execute(
            "SELECT t.feature_values[d.position]::integer FROM public.transactions AS t"
            " CROSS JOIN features.feature_definitions AS d"
            " WHERE t.user_id = %s AND d.name = 'user_txn_count_1h' ORDER BY 1",
            [user],
        ).fetchall()
    return [seen for (seen,) in rows] == list(range(count))
