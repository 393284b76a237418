"""Bulk statements next to single payments of other users: who waits, who deadlocks, who stays unscored.

Four sessions pay for certain users, first alone, then next to four writers (ten statements of 500 rows each, each
its own transaction, with its users in another order) and one statement of 50,000 users. No user is shared.
Four sessions that only compute, and touch no table, are the control: what the processors alone cost the payments.
`python -m benchmarks.inserts.bulk_writers SECONDS` prints a table in Markdown.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import psycopg

from benchmarks.inserts.run import USERS, prepared_server

SINGLE = "INSERT INTO public.transactions (user_id, amount, merchant_id, location) VALUES (%s, 12.5, 7, 'DE')"
BULK = (
    "INSERT INTO public.transactions (user_id, amount, merchant_id, location)"
    " SELECT u, 12.5, 7, 'DE' FROM unnest(%s::bigint[]) AS u"
)
PAYERS, WRITERS, STATEMENTS, ROWS, BULK_USERS = 4, 4, 10, 500, 50_000
FIRST_WRITTEN = 1_000_000


@dataclass
class Counted:
    """What the payers saw: latencies in ms, decisions that are missing, caveats and errors by name."""

    latencies_ms: list[float] = field(default_factory=list)
    unscored: int = 0
    names: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """See the module."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with prepared_server() as (_, url):
        rows = [_row("quiet", pay(url, lambda stop: stop.wait(seconds)))]
        errors: Counter[str] = Counter()
        rows.append(
            _row("next to four sessions that only compute", pay(url, lambda stop: _compute_all(url, seconds)))
        )
        rows.append(_row("next to four bulk writers", pay(url, lambda stop: _write_all(url, errors))))
        took: list[float] = []
        rows.append(
            _row(
                f"next to {BULK_USERS:,} users in one statement",
                pay(url, lambda stop: _write_one(url, took)),
            )
        )
        bulk = _bulk_rows(url)
    print("| Single payments | a second | p50 ms | p99 ms | worst ms | unscored | caveats, errors |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    print("\n".join(rows))
    print(f"\nBulk writers' errors: {dict(errors) or 'none'}. {BULK_USERS:,} rows took {took[0]:.1f} s.")
    print(f"Bulk rows: {bulk}.")


def _bulk_rows(url: str) -> str:
    """How many rows the writers stored, without a decision and by caveat; every one should be there and decided."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT coalesce(features_caveat, 'no caveat'), count(*), count(*) FILTER (WHERE fraud_flag IS NULL)"
            " FROM public.transactions WHERE user_id >= %s GROUP BY 1 ORDER BY 1",
            [FIRST_WRITTEN],
        ).fetchall()
    expected = WRITERS * STATEMENTS * ROWS + BULK_USERS
    stored, unscored = (sum(row[place] for row in rows) for place in (1, 2))
    caveats = ", ".join(f"{name} {count:,}" for name, count, _ in rows)
    return f"{stored:,} of {expected:,} stored, {unscored} unscored; {caveats}"


def pay(url: str, meanwhile: Callable[[threading.Event], object]) -> tuple[Counted, float]:
    """Single payments until `meanwhile(stop)` has returned."""
    stop, counted = threading.Event(), Counted()

    def work(payer: int) -> None:
        source = random.Random(payer)
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                started = time.perf_counter()
                try:
                    row = connection.execute(
                        SINGLE + " RETURNING fraud_flag, features_caveat",
                        [payer + 1 + PAYERS * source.randrange(USERS // PAYERS)],
                    ).fetchone()
                    assert row is not None
                    counted.unscored += row[0] is None
                    if row[1]:
                        counted.names[row[1]] += 1
                except psycopg.Error as error:
                    counted.names[error.sqlstate or type(error).__name__] += 1
                counted.latencies_ms.append((time.perf_counter() - started) * 1e3)

    threads = [threading.Thread(target=work, args=(payer,)) for payer in range(PAYERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        meanwhile(stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return counted, time.perf_counter() - started


def _write_all(url: str, errors: Counter[str]) -> None:
    _in_threads(lambda writer: _write(url, writer, errors))


def _compute_all(url: str, seconds: float) -> None:
    _in_threads(lambda _: _compute(url, seconds))


def _in_threads(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _compute(url: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until:
            connection.execute("SELECT count(*) FROM generate_series(1, 200000)")


def _write(url: str, writer: int, errors: Counter[str]) -> None:
    source = random.Random(writer)
    own = [FIRST_WRITTEN + writer + WRITERS * i for i in range(ROWS)]
    with psycopg.connect(url) as connection:
        for _ in range(STATEMENTS):
            try:
                connection.execute(BULK, [source.sample(own, ROWS)])
                connection.commit()
            except psycopg.Error as error:
                connection.rollback()
                errors[error.sqlstate or type(error).__name__] += 1


def _write_one(url: str, took: list[float]) -> None:
    started = time.perf_counter()
    with psycopg.connect(url) as connection:
        connection.execute(BULK, [list(itertools.islice(itertools.count(2_000_000), BULK_USERS))])
    took.append(time.perf_counter() - started)


def _row(name: str, measured: tuple[Counted, float]) -> str:
    counted, seconds = measured
    p50, p99, worst = np.percentile(counted.latencies_ms, [50, 99, 100])
    names = ", ".join(f"{name} {count}" for name, count in counted.names.items()) or "none"
    return (
        f"| {name} | {len(counted.latencies_ms) / seconds:,.0f} | {p50:.2f} | {p99:.2f} | {worst:.1f}"
        f" | {counted.unscored} | {names} |"
    )


if __name__ == "__main__":
    main()
