"""Instructions of one scored INSERT, part by part, counted by callgrind: no noise, however busy the machine is.

Times of parts that take a few microseconds drown in the noise of a shared machine; counts of instructions do not.
The server runs in single-user mode under valgrind; what one call costs is the difference between 120 calls and 20,
divided by 100, so that neither start-up nor first calls are in it. Caches and waiting are not counted: compare
parts, not machines. Each transaction is made where the user's last one was, as most are, but for the line that says
otherwise. `python -m benchmarks.inserts.instructions` prints a table in Markdown and needs `valgrind`.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from benchmarks.inserts.run import USERS, prepared_server
from rowguard.local import find_postgres_binaries

FEW, MANY = 20, 120
COLUMNS = "(user_id, amount, merchant_id, location)"
ROW = COLUMNS + " VALUES ({user}, 12.5, 7, 'DE') RETURNING transaction_id, fraud_flag"
ELSEWHERE = COLUMNS + " VALUES ({user}, 12.5, 7, 'place {turn}') RETURNING transaction_id, fraud_flag"
REQUEST = "ROW({user}, 12.5, pg_catalog.now(), 7, 'DE')::scoring.scoring_request"


def main() -> None:
    """See the module."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not on PATH: install it; `make bench` measures times")
    with prepared_server() as (server, url):
        statements = parts(url)
        server.stop()
        print(markdown({name: instructions(server.data, text) for name, text in statements.items()}))


def parts(url: str) -> dict[str, str]:
    """A statement for each part; `{user}` is a user's id, `{turn}` the round."""
    with psycopg.connect(url, autocommit=True) as connection:
        for user in _users():
            connection.execute(f"INSERT INTO public.transactions {ROW.format(user=user)}".encode())
        row = connection.execute(
            "SELECT left(m.feature_hash, 8) FROM scoring.models AS m WHERE m.state = 'champion'"
        ).fetchone()
        connection.execute("CHECKPOINT")
    assert row is not None
    return {
        # IS NULL, as printing the result would cost more than some of the parts.
        "nothing": f"SELECT {REQUEST} IS NULL",
        "plain INSERT": f"INSERT INTO public.bench_plain {ROW}",
        "plain INSERT with domains": f"INSERT INTO public.bench_domains {ROW}",
        "INSERT with a no-op trigger": f"INSERT INTO public.bench_noop {ROW}",
        "features, live": f"SELECT features.live_feature_values_{row[0]}({REQUEST}) IS NULL",
        "features and model, by the facade": f"SELECT scoring.decide_transaction({REQUEST}) IS NULL",
        "scored INSERT": f"INSERT INTO public.transactions {ROW}",
        "scored INSERT elsewhere": f"INSERT INTO public.transactions {ELSEWHERE}",
    }


def _users() -> list[int]:
    """The same few users again and again: their pages are in memory when counting begins."""
    return random.Random(1).sample(range(1, USERS + 1), FEW)


def instructions(data: Path, statement: str) -> float:
    """Of executing the statement once, parsing and planning left out."""
    users = _users()
    counted = [
        count_script(data, [statement.format(user=users[i % FEW], turn=i // FEW) for i in range(times)])
        for times in (FEW, MANY)
    ]
    return (counted[1] - counted[0]) / (MANY - FEW)


def count_script(data: Path, statements: list[str]) -> int:
    """Instructions of the executor for the statements, each its own transaction, on a stopped server's data."""
    script = "".join(statement + ";\n\n" for statement in statements)
    owner = data.stat()
    with tempfile.TemporaryDirectory(prefix="rowguard-callgrind-") as folder:
        os.chown(folder, owner.st_uid, owner.st_gid)
        profile = Path(folder) / "callgrind.out"
        done = subprocess.run(
            [
                "valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
                str(find_postgres_binaries() / "postgres"), "--single", "-j", "-D", str(data),
                "-c", "full_page_writes=off", "-c", "autovacuum=off", "rowguard",
            ],
            input=script,
            capture_output=True,
            text=True,
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
            cwd=folder,
        )  # fmt: skip
        error = re.search(r"^.*(?:ERROR|FATAL|PANIC).*$", done.stdout + done.stderr, re.MULTILINE)
        if error or done.returncode:
            raise RuntimeError(
                f"the server rejected {statements[0]!r}: {error.group() if error else done.stderr}"
            )
        table = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(profile)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    # Everything that the executor does for a statement.
    found = re.search(r"^ *([\d,]+) .*:PortalRun\b", table, re.MULTILINE)
    if found is None:
        raise RuntimeError("callgrind names no functions: this PostgreSQL was built without symbols")
    return int(found.group(1).replace(",", ""))


def markdown(counted: dict[str, float]) -> str:
    """A table of thousands of instructions, and of what each part adds to a plain INSERT."""
    nothing, plain = counted["nothing"], counted["plain INSERT"]
    features = counted["features, live"] - nothing
    scoring = counted["features and model, by the facade"] - nothing
    added = counted["scored INSERT"] - counted["plain INSERT with domains"]
    rows = {
        "plain INSERT (the floor: checks, one row, its indexes)": plain,
        "plain INSERT with rowguard's domains instead of CHECKs": counted["plain INSERT with domains"],
        "INSERT with a no-op trigger": counted["INSERT with a no-op trigger"],
        "scored INSERT": counted["scored INSERT"],
        "of it: reading the features": features,
        "of it: model and facade": scoring - features,
        "of it: the triggers around them": added - scoring,
        "scored INSERT at another place than the user's last": counted["scored INSERT elsewhere"],
    }
    width = max(map(len, rows))
    lines = [f"| {'part':<{width}} | thousand instructions | to plain |", f"| {'-' * width} | ---: | ---: |"]
    lines += [
        f"| {name:<{width}} | {count / 1e3:21.0f} | {count / plain:7.2f}× |" for name, count in rows.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
