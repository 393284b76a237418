"""Where the time of one scored INSERT goes, timed inside the server. How it grows with the table: benchmarks/soak.

Each section runs alone, one call a transaction, in one connection: the difference between two is what lies between
them. The client's round trip is in none of them. `sections.py CALLS` prints one JSON document: the profile of the
simulated history.
"""

from __future__ import annotations

import json
import statistics
import sys

import psycopg

from benchmarks.inserts.run import prepared_server

ROUNDS = 5


def main() -> None:
    """See the module."""
    calls = int(sys.argv[1])
    with prepared_server() as (_, url):
        profile = sections(url, calls)
    print(json.dumps({"profile": profile}, indent=2))


def sections(url: str, calls: int) -> list[dict[str, object]]:
    """Median microseconds of each section, and their spread over the rounds."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET synchronous_commit = off")
        row = connection.execute(
            "SELECT 'scoring.' || m.version, left(m.feature_hash, 8), cardinality(m.feature_names)"
            " FROM scoring.models AS m WHERE m.state = 'champion'"
        ).fetchone()
        assert row is not None
        function, hash8, features = row
        row_of = "VALUES (v_user, 12.5, 7, 'DE')"
        columns = "(user_id, amount, merchant_id, location)"
        request = "ROW(v_user, 12.5, clock_timestamp(), 7, 'DE')::scoring.scoring_request"
        steps = {
            "nothing": "NULL;",
            "plain INSERT": f"INSERT INTO public.bench_plain {columns} {row_of};",
            "INSERT with a no-op trigger": f"INSERT INTO public.bench_noop {columns} {row_of};",
            "scored INSERT": f"INSERT INTO public.transactions {columns} {row_of};",
            "of it: user's lock": "v_is_nothing := pg_try_advisory_xact_lock(scoring.user_lock_key(v_user));",
            "of it: features": f"v_is_nothing := features.live_feature_values_{hash8}({request}) IS NULL;",
            "of it: model": f"v_is_nothing := {function}(v_values) IS NULL;",
            "of it: facade": f"v_is_nothing := scoring.decide_transaction({request}) IS NULL;",
        }
        taken: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, step in steps.items():
                taken.setdefault(name, []).append(_timed(connection, step, calls, int(features)))
    nothing = statistics.median(taken.pop("nothing"))
    return [
        {
            "section": name,
            "microseconds": statistics.median(times) - nothing,
            "spread": max(times) - min(times),
        }
        for name, times in taken.items()
    ]


def _timed(connection: psycopg.Connection, step: str, calls: int, features: int) -> float:
    """Median microseconds of the step, each in a separate transaction. The model's input differs from call to call:
    of a constant the planner would ask it once."""
    connection.execute(
        f"""CREATE OR REPLACE PROCEDURE public.bench_timed(calls integer, INOUT micros float8[])
            LANGUAGE plpgsql AS $$
            DECLARE v_user bigint; v_started timestamptz; v_users bigint[]; v_values real[]; v_is_nothing boolean;
            BEGIN
              v_users := ARRAY(
                SELECT t.user_id FROM public.transactions AS t WHERE t.transaction_id % 101 = 0 LIMIT 1000
              );
              FOR i IN 1..calls LOOP
                v_user := v_users[1 + (i * 7919) % cardinality(v_users)];
                v_values := array_fill((i % 50)::real, ARRAY[{features}]);
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
