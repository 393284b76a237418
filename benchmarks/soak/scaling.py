"""Processor time of an INSERT at every size of the table, scored and plain.

Processor time of the session hardly depends on other work on the machine. Users are drawn in proportion to their
rows. A plain INSERT goes into the same table in a session with `session_replication_role = replica`, in which no
trigger fires; its rows are deleted afterwards.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.soak.world import World

ROUNDS = 6
# A plain row has the values that scoring would store: the same size, heap pages and partial indexes.
STEPS = {
    "nothing": ("origin", "NULL;"),
    "scored": (
        "origin",
        "INSERT INTO public.transactions (user_id, amount, merchant_id, location) VALUES (v_user, 12.5, 7, 'DE');",
    ),
    "plain": (
        "replica",
        "INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, received_at,"
        " fraud_flag, fraud_probability, model_version, scored_at, feature_values,"
        " user_txns_before, user_amount_before, user_amount_squares_before)"
        " VALUES (v_user, 12.5, 7, 'DE', clock_timestamp(), clock_timestamp(),"
        " 'LEGITIMATE', 0.0123456789012345, 'rf_00000000_00000000', clock_timestamp(), v_values, 100, 12345.67,"
        " 1234567.8901);",
    ),
}
SAMPLED_ROWS = 50_000


def measure_scaling(world: World, sizes: list[int], calls: int) -> list[dict[str, Any]]:
    """Measure INSERTs in tables of different sizes.

    Args:
        world: The server of the soak test.
        sizes: Rows of each table.
        calls: INSERTs per round and size, each in a separate transaction.

    Returns:
        Per size the medians over rounds, in microseconds per INSERT.
    """
    samples: dict[tuple[int, str], list[float]] = {}
    sessions = {}
    for size in sizes:
        sessions[size] = psycopg.connect(world.url(size), autocommit=True)
        sessions[size].execute("SET synchronous_commit = off")
        _create(sessions[size], size)
        _processor_us(sessions[size], "scored", calls)  # the first call compiles the model's function
    for step, (role, _) in STEPS.items():
        for session in sessions.values():
            session.execute(f"SET session_replication_role = {role}".encode())
        for _ in range(ROUNDS):
            for size in sizes:
                used = _processor_us(sessions[size], step, calls)
                samples.setdefault((size, step), []).append(used / calls)
    for session in sessions.values():
        session.execute(
            "DELETE FROM public.transactions WHERE user_id IN (SELECT user_id FROM drawn)"
            " AND model_version = 'rf_00000000_00000000'"
        )
        session.close()
    return [
        {
            "rows": size,
            **{
                f"{step}_us": statistics.median(samples[size, step])
                - statistics.median(samples[size, "nothing"])
                for step in ("scored", "plain")
            },
        }
        for size in sizes
    ]


def _create(session: psycopg.Connection[Any], size: int) -> None:
    percent = min(100.0, 100.0 * SAMPLED_ROWS / size)
    session.execute(
        f"CREATE TEMP TABLE drawn AS SELECT row_number() OVER () AS n, t.user_id, (SELECT"
        " array_fill(0.5::real, ARRAY[cardinality(m.feature_names)]) FROM scoring.models AS m"
        f" WHERE m.state = 'champion') AS feature_values FROM (SELECT user_id"
        f" FROM public.transactions TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"
        " ORDER BY hashint8(transaction_id) LIMIT 2000) AS t".encode()
    )
    for name, (_, step) in STEPS.items():
        session.execute(
            f"""CREATE OR REPLACE PROCEDURE pg_temp.{name}(calls integer) LANGUAGE plpgsql AS $$
            DECLARE v_user bigint; v_users bigint[] := ARRAY(SELECT user_id FROM drawn ORDER BY n);
              v_values real[] := (SELECT feature_values FROM drawn LIMIT 1);
            BEGIN
              FOR i IN 1..calls LOOP
                v_user := v_users[1 + (i * 7919) % cardinality(v_users)];
                {step}
                COMMIT;
              END LOOP;
            END $$""".encode()
        )


def _processor_us(session: psycopg.Connection[Any], step: str, calls: int) -> float:
    """Microseconds of processor time that the session used."""
    schedstat = Path(f"/proc/{session.info.backend_pid}/schedstat")
    before = int(schedstat.read_text().split()[0])
    session.execute(f"CALL pg_temp.{step}(%s)".encode(), [calls])
    return (int(schedstat.read_text().split()[0]) - before) / 1000
