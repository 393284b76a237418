"""Where the time of one scored INSERT goes, timed inside the server; and how it grows with the table.

Each section runs alone, one call a transaction, in one connection: the difference between two is what lies between
them. The client's round trip is in none of them. `sections.py CALLS SIZE…` prints one JSON document: the profile of
the simulated history, and at every size of the table what a plain and a scored INSERT take.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from pydantic import SecretStr

from benchmarks.inserts.run import HERE, prepare
from rowguard import pipeline
from rowguard.history import load_history
from rowguard.local import PostgresServer
from rowguard.settings import Settings

ROUNDS = 5
BATCH = 250_000
USERS_PER_ROW = 1 / 50  # of what is added: so that a user has about fifty transactions in the window
FIRST_ADDED_USER = 1_000_000


def main() -> None:
    """See the module."""
    calls, sizes = int(sys.argv[1]), [int(size) for size in sys.argv[2:]]
    with tempfile.TemporaryDirectory(prefix="rowguard-bench-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "postgres", durable=True)
        try:
            url = server.ensure_running()
            prepare(url, Path(folder))
            profile = sections(url, calls)
            growth = [
                {"rows": grow(url, Path(folder), size), **inserts(url, calls)} for size in sorted(sizes)
            ]
        finally:
            server.destroy()
    print(json.dumps({"profile": profile, "growth": growth}, indent=2))


def sections(url: str, calls: int) -> list[dict[str, object]]:
    """Median microseconds of each section, and their spread over the rounds."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET synchronous_commit = off")
        row = connection.execute(
            "SELECT m.function_name, left(m.feature_hash, 8), cardinality(m.feature_names)"
            " FROM scoring.models AS m WHERE m.state = 'champion'"
        ).fetchone()
        assert row is not None
        function, hash8, features = row
        values = f"array_fill(1::real, ARRAY[{int(features)}])"
        row_of = "VALUES (v_user, 12.5, 7, 'DE')"
        columns = "(user_id, amount, merchant_id, location)"
        user = "v_user, 12.5, 7, 'DE', clock_timestamp()"
        steps = {
            "nothing": "NULL;",
            "plain INSERT": f"INSERT INTO public.bench_plain {columns} {row_of};",
            "INSERT with a no-op trigger": f"INSERT INTO public.bench_noop {columns} {row_of};",
            "scored INSERT": f"INSERT INTO public.transactions {columns} {row_of};",
            "of it: user's lock": "PERFORM pg_advisory_xact_lock(7265, hashint8(v_user) & 4095);",
            "of it: features, live": f"PERFORM features.live_feature_values_{hash8}({user});",
            "of it: model": f"PERFORM {function}({values});",
            "of it: features and model by the facade": f"PERFORM scoring.score_candidate({user});",
        }
        taken: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, step in steps.items():
                taken.setdefault(name, []).append(_timed(connection, step, calls))
    nothing = statistics.median(taken.pop("nothing"))
    return [
        {
            "section": name,
            "microseconds": statistics.median(times) - nothing,
            "spread": max(times) - min(times),
        }
        for name, times in taken.items()
    ]


def inserts(url: str, calls: int) -> dict[str, float]:
    """Median microseconds inside the server of a plain and of a scored INSERT; users are those of the whole table."""
    found = {}
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET synchronous_commit = off")
        for name, table in (("plain_us", "bench_plain"), ("scored_us", "transactions")):
            step = (
                f"INSERT INTO public.{table} (user_id, amount, merchant_id, location)"
                " VALUES (v_user, 12.5, 7, 'DE');"
            )
            times = [_timed(connection, step, calls) for _ in range(ROUNDS)]
            found[name] = statistics.median(times)
    return found


def grow(url: str, folder: Path, size: int) -> int:
    """History is added until the tables hold `size` rows; answers how many `transactions` has."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM transactions").fetchone()
        assert row is not None
    missing = size - row[0]
    if missing > 0:
        settings = Settings(
            database_url=SecretStr(url),
            state_dir=folder / "state",
            models_dir=folder / "models",
            _env_file=None,
        )
        load_history(url, _added(missing), label_delay=timedelta(days=7), source="bench")
        pipeline.migrate(url, settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((HERE / "plain_table.sql").read_text().encode())
        names = connection.execute(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
            " WHERE attrelid = 'transactions'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        ).fetchone()
        assert names is not None
        copied = sql.SQL(names[0])  # quoted by the server
        query = sql.SQL("INSERT INTO bench_plain ({0}) SELECT {0} FROM transactions").format(copied)
        connection.execute(query)
        connection.execute("VACUUM ANALYZE transactions, bench_plain")
        row = connection.execute("SELECT count(*) FROM transactions").fetchone()
        assert row is not None
    return int(row[0])


def _added(count: int) -> Iterator[pa.RecordBatch]:
    rng = np.random.default_rng(count)
    users = max(1, int(count * USERS_PER_ROW))
    end = datetime.now(UTC)
    for first in range(0, count, BATCH):
        rows = min(BATCH, count - first)
        ago = np.sort(rng.uniform(0, 30 * 86_400, rows))[::-1]
        times = np.datetime64(end.replace(tzinfo=None), "us") - (ago * 1e6).astype("timedelta64[us]")
        yield pa.record_batch(
            {
                "occurred_at": pa.array(times, pa.timestamp("us", tz="UTC")),
                "user_id": pa.array(rng.integers(FIRST_ADDED_USER, FIRST_ADDED_USER + users, rows)),
                "amount": pa.array(np.round(rng.lognormal(3, 1, rows), 2).astype(str)).cast(
                    pa.decimal128(18, 4)
                ),
                "merchant_id": pa.array(rng.integers(1, 500, rows)),
                "location": pa.array(rng.choice(["DE", "FR", "IT"], rows)),
                "is_fraud": pa.array(rng.random(rows) < 0.005),
            }
        )


def _timed(connection: psycopg.Connection, step: str, calls: int) -> float:
    """Median microseconds of the step, each in a transaction of its own."""
    connection.execute(
        f"""CREATE OR REPLACE PROCEDURE public.bench_timed(calls integer, INOUT micros float8[])
            LANGUAGE plpgsql AS $$
            DECLARE v_user bigint; v_started timestamptz; v_users bigint[];
            BEGIN
              v_users := ARRAY(
                SELECT t.user_id FROM public.transactions AS t WHERE t.transaction_id % 101 = 0 LIMIT 1000
              );
              FOR i IN 1..calls LOOP
                v_user := v_users[1 + (i * 7919) % cardinality(v_users)];
                v_started := clock_timestamp();
                {step}
                micros[i] := extract(epoch FROM clock_timestamp() - v_started) * 1e6;
                COMMIT;
              END LOOP;
            END $$""".encode()
    )
    row = connection.execute("CALL public.bench_timed(%s, '{}')", [calls]).fetchone()
    assert row is not None
    return float(statistics.median(row[0][len(row[0]) // 5 :]))


if __name__ == "__main__":
    main()
