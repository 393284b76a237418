"""What a row of a statement of many rows costs: instructions by callgrind, and microseconds, in one run.

A row's cost is the difference between a statement of 1,200 rows and one of 200, divided by 1,000; a statement before
them brings the pages into memory. Each row is another user's. Microseconds are medians over rounds.
`python -m benchmarks.inserts.bulk_rows` prints a table in Markdown; it needs `valgrind`.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator

import psycopg

from benchmarks.inserts.instructions import count_script
from benchmarks.inserts.run import USERS, prepared_server

FEW_ROWS, MANY_ROWS, ROUNDS = 200, 1_200, 9
# A transaction holds locks of 2,000 users; the rows of later ones are decided without.
PAST_LIMIT = 2_200
STATEMENT = (
    "INSERT INTO public.{table} (user_id, amount, merchant_id, location)"
    " SELECT u, 12.5, 7, 'DE' FROM generate_series({first}, {first} + {rows} - 1) AS u"
)
# Name → table, whether its users have rows already, rows before those that are counted.
CASES = {
    "plain": ("bench_plain", True, 0),
    "plain with rowguard's domains": ("bench_domains", True, 0),
    "no-op trigger": ("bench_noop", True, 0),
    "scored, users with rows": ("transactions", True, 0),
    "scored, users without rows": ("transactions", False, 0),
    "scored past 2,000 users, users without rows": ("transactions", False, PAST_LIMIT),
}
_fresh = itertools.count(10_000_000, 10_000)


def main() -> None:
    """See the module."""
    with prepared_server() as (server, url):
        with psycopg.connect(url, autocommit=True) as connection:
            # So that every user has a row, and those that the statements read are in memory.
            connection.execute(STATEMENT.format(table="transactions", first=1, rows=USERS).encode())
            connection.execute("VACUUM ANALYZE")
        microseconds = measure_times(url)
        server.stop()
        instructions = {
            name: (count_script(server.data, [warm, many]) - count_script(server.data, [warm_again, few]))
            / (MANY_ROWS - FEW_ROWS)
            for name, warm, warm_again, few, many in _statements()
        }
    print("| Row of a statement of many | thousand instructions | µs | spread µs |")
    print("| --- | ---: | ---: | ---: |")
    for name, count in instructions.items():
        took = microseconds[name]
        print(f"| {name} | {count / 1e3:.1f} | {statistics.median(took):.1f} | {max(took) - min(took):.1f} |")


def measure_times(url: str) -> dict[str, list[float]]:
    """Microseconds a row, by round: every case in every round, so that a slow minute hits all alike."""
    taken: dict[str, list[float]] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for _ in range(ROUNDS):
            for name, *_, few, many in _statements():
                times = []
                for statement in (few, many):
                    started = time.perf_counter()
                    connection.execute(statement.encode())
                    times.append(time.perf_counter() - started)
                taken.setdefault(name, []).append((times[1] - times[0]) / (MANY_ROWS - FEW_ROWS) * 1e6)
    return taken


def _statements() -> Iterator[tuple[str, str, str, str, str]]:
    for name, (table, has_rows, before) in CASES.items():
        warm, warm_again, few, many = (
            STATEMENT.format(table=table, first=1 if has_rows else next(_fresh), rows=before + rows)
            for rows in (MANY_ROWS, MANY_ROWS, FEW_ROWS, MANY_ROWS)
        )
        yield name, warm, warm_again, few, many


if __name__ == "__main__":
    main()
