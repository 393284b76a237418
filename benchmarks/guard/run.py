"""What the guard around scoring costs an INSERT: the exception block, the bounded lock wait, both.

The same trigger with more and more of the guard, in turn, round after round on one private server; the difference
of medians is the price. Statements of many rows, so that nothing but the trigger is compared.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import psycopg

from rowguard.local import temporary_server

ROWS = 20_000
VARIANTS = {
    # name: (SET clauses of the function, its body)
    "bare": ("", "PERFORM_LOCK v := guard.work(NEW.user_id);"),
    "exception block": (
        "",
        "PERFORM_LOCK BEGIN v := guard.work(NEW.user_id); EXCEPTION WHEN OTHERS THEN v := NULL; END;",
    ),
    "lock_timeout": ("SET lock_timeout = '1s'", "PERFORM_LOCK v := guard.work(NEW.user_id);"),
    "both": (
        "SET lock_timeout = '1s'",
        "BEGIN PERFORM_LOCK v := guard.work(NEW.user_id);"
        " EXCEPTION WHEN query_canceled OR OTHERS THEN v := NULL; END;",
    ),
}  # fmt: skip
LOCK = "IF pg_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095) IS NULL THEN RETURN NEW; END IF;"


def main() -> None:
    """`run.py [ROUNDS]` prints one JSON document: microseconds a row above the bare trigger."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with temporary_server() as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute((Path(__file__).parent / "tables.sql").read_text().encode())
        for number, (clauses, body) in enumerate(VARIANTS.values()):
            connection.execute(_trigger(number, clauses, body.replace("PERFORM_LOCK", LOCK)).encode())
        times: dict[str, list[float]] = {name: [] for name in VARIANTS}
        for _ in range(rounds):
            for number, name in enumerate(VARIANTS):
                times[name].append(_micros(connection, f"guard.t{number}"))
    bare = statistics.median(times["bare"])
    print(
        json.dumps(
            {name: statistics.median(found) - bare for name, found in times.items()} | {"bare_us": bare}
        )
    )


def _trigger(number: int, clauses: str, body: str) -> str:
    return f"""
        CREATE UNLOGGED TABLE guard.t{number} (user_id bigint, value double precision);
        CREATE FUNCTION guard.f{number}() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp {clauses} AS $$
        DECLARE v double precision;
        BEGIN {body} NEW.value := v; RETURN NEW; END $$;
        CREATE TRIGGER score BEFORE INSERT ON guard.t{number} FOR EACH ROW EXECUTE FUNCTION guard.f{number}();
    """


def _micros(connection: psycopg.Connection, table: str) -> float:
    connection.execute(f"TRUNCATE {table}".encode())
    row = connection.execute(
        f"EXPLAIN (ANALYZE, FORMAT JSON) INSERT INTO {table} SELECT g FROM generate_series(1, {ROWS}) AS g".encode()
    ).fetchone()
    assert row is not None
    return float(row[0][0]["Execution Time"]) * 1000 / ROWS


if __name__ == "__main__":
    main()
