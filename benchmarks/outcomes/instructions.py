"""Instructions and microseconds of an INSERT with rule sets and lists, against one without.

Instructions are counted by callgrind, as `benchmarks.inserts.instructions` explains; times are medians of one call in
its own transaction, one variant after another in every round. `python -m benchmarks.outcomes.instructions ENTRIES`
prints Markdown; it needs `valgrind` for the first column and takes some minutes.
"""

from __future__ import annotations

import shutil
import statistics
import sys

import psycopg
from pydantic import SecretStr

from benchmarks.inserts.instructions import _users, instructions
from benchmarks.inserts.run import prepared_server
from benchmarks.outcomes.rule_sets import make_rule_set
from rowguard.operations.lists import create_list
from rowguard.settings import Settings
from sql_scoring.deployment.rule_sets import publish_rule_set, roll_back_rule_set

ROUNDS = 5
CALLS = 400
INSERT = (
    "INSERT INTO public.transactions (user_id, amount, merchant_id, location) VALUES ({user}, 12.5, 7, 'DE')"
    " RETURNING transaction_id, fraud_flag"
)
LISTS = (("blocked_users", "user_id", "block"), ("risky_merchants", "merchant_id", "other"))
MORE_LISTS = (("places", "location", "other"), ("amounts_of", "user_id", "other"))


def main() -> None:
    """See the module."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with prepared_server() as (server, url):
        settings = Settings(
            database_url=SecretStr(url),
            state_dir=server.data.parent / "state",
            models_dir=server.data.parent / "models",
            _env_file=None,
        )
        for user in _users():
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(INSERT.format(user=user).encode())
        measure(server, url, "no rule set, no list", settings)
        for rules in (50, 200, 1_000):
            publish_rule_set(url, settings, make_rule_set(rules))
            measure(server, url, f"{rules} rules", settings)
        roll_back_rule_set(url, settings, to=0)
        for name, column, kind in LISTS:
            create_list(url, name, column, kind)
        for number in (1_000, entries):
            fill_lists(url, number)
            measure(server, url, f"2 lists of {number:,} entries in all", settings)
        publish_rule_set(url, settings, make_rule_set(50, lists=("risky_merchants",)))
        measure(server, url, f"50 rules, 2 lists of {entries:,}", settings)


def fill_lists(url: str, entries: int) -> None:
    """So many entries of both lists together, of keys that no row of the measurement has."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE scoring.list_entries")
        connection.execute(
            """
            INSERT INTO scoring.list_entries (key_hash, list_id, key)
            SELECT scoring.list_key_hash(l.column_name, n::text), l.list_id, n::text
            FROM scoring.lists AS l, generate_series(1000000, 1000000 + %s / 2) AS n
            """,
            [entries],
        )
        connection.execute("VACUUM ANALYZE scoring.list_entries")


def measure(server: object, url: str, name: str, settings: Settings) -> None:
    """Print one line of the table."""
    micros = statistics.median(insert_time(url) for _ in range(ROUNDS))
    counted = ""
    if shutil.which("valgrind"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        server.stop()  # type: ignore[attr-defined]
        counted = f"{instructions(server.data, INSERT) / 1e3:.1f}"  # type: ignore[attr-defined]
        server.ensure_running()  # type: ignore[attr-defined]
    print(f"| {name} | {counted} | {micros:.1f} |", flush=True)


def insert_time(url: str) -> float:
    """Median microseconds of an INSERT, timed inside the server, each in its own transaction."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            """CREATE OR REPLACE PROCEDURE public.bench_outcomes(calls integer, INOUT micros float8[])
            LANGUAGE plpgsql AS $$
            DECLARE v_started timestamptz; v_user bigint;
            BEGIN
              FOR i IN 1..calls LOOP
                v_user := 1 + (i * 7919) % 2000;
                v_started := clock_timestamp();
                INSERT INTO public.transactions (user_id, amount, merchant_id, location)
                VALUES (v_user, 12.5, 7, 'DE');
                micros[i] := extract(epoch FROM clock_timestamp() - v_started) * 1e6;
                COMMIT;
              END LOOP;
            END $$"""
        )
        row = connection.execute("CALL public.bench_outcomes(%s, '{}')", [CALLS]).fetchone()
        assert row is not None
        return float(statistics.median(row[0][CALLS // 5 :]))


if __name__ == "__main__":
    main()
