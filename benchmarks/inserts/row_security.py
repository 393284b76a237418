"""What row-level security by tenant would cost an insert: the figures of decision 11.

`row_security.py SECONDS ROUNDS FOLDER` uses a folder that `benchmarks/api/run.py --folder` has prepared. Variants run
in turn, round after round, one client, without waiting for the disk, which would drown the difference: as it is; with
policies and the tenant fixed for the login; with policies and the tenant set in each transaction, which a pool by
transaction asks for.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from rowguard.local import PostgresServer, find_postgres_binaries

HERE = Path(__file__).parent
PASSWORD = "bench"
INSERT = (
    "\\set user random(1, 2000)\n{before}INSERT INTO transactions (user_id, amount, merchant_id, location)"
    " VALUES (:user, 12.5, 7, 'DE') RETURNING transaction_id, fraud_flag;\n{after}"
)
SET = "BEGIN;\nSET LOCAL rowguard.tenant = 'one';\n"
VARIANTS = {
    "no policies": ("bench_open", INSERT.format(before="", after="")),
    "policies, tenant of the login": ("bench_tenants", INSERT.format(before="", after="")),
    "policies, tenant set in the transaction": (
        "bench_tenants",
        INSERT.format(before=SET, after="COMMIT;\n"),
    ),
}


def main() -> None:
    seconds, rounds, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).absolute()
    server = PostgresServer(folder / "postgres", durable=True)
    template = server.ensure_running().rpartition("/")[2]
    try:
        with server.connect("postgres") as connection:
            connection.execute(f"CREATE ROLE bench LOGIN PASSWORD '{PASSWORD}' IN ROLE rowguard_app".encode())
            connection.execute("ALTER ROLE bench SET rowguard.tenant = 'one'")
        for name in ("bench_open", "bench_tenants"):
            url = server.create_database(name, template=template)
            with psycopg.connect(url, autocommit=True) as connection:
                if name == "bench_tenants":
                    connection.execute("SET rowguard.tenant = 'one'")
                    connection.execute((HERE / "row_security.sql").read_text().encode())
                connection.execute("VACUUM ANALYZE")
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for variant, (database, script) in VARIANTS.items():
                url = server.url_for_login("bench", PASSWORD, database)
                found.setdefault(variant, []).append(run(url, script, seconds))
        medians = {name: round(statistics.median(rates), 1) for name, rates in found.items()}
        print(json.dumps({"latency_us": medians, "rounds": found}, indent=2))
    finally:
        for name in ("bench_open", "bench_tenants"):
            server.drop_database(name)
        with server.connect("postgres") as connection:
            connection.execute("DROP ROLE IF EXISTS bench")
        server.stop()


def run(url: str, script: str, seconds: int) -> float:
    """Microseconds an insert."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        program = str(find_postgres_binaries() / "pgbench")
        done = subprocess.run(
            [program, "--no-vacuum", "--protocol=prepared", f"--file={file.name}", f"--time={seconds}", url],
            env={**os.environ, "PGOPTIONS": "-c synchronous_commit=off"},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    rate = re.search(r"tps = ([0-9.]+)", done)
    assert rate is not None, done
    return round(1e6 / float(rate.group(1)), 1)


if __name__ == "__main__":
    main()
