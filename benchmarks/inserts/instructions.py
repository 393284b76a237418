"""Instructions of one scored INSERT, part by part, counted by callgrind: no noise, however busy the machine is.

Times of parts that take a few microseconds drown in the noise of a shared machine; counts of instructions do not.
The server runs in single-user mode under valgrind; what one call costs is the difference between 120 calls and 20,
divided by 100, so that neither start-up nor first calls are in it. Caches and waiting are not counted: compare
parts, not machines. Each transaction is made where the user's last one was, as most are, but for the line that says
otherwise. `python -m benchmarks.inserts.instructions` prints a table in Markdown and needs `valgrind`.

`--user-id uuid` counts with that type of key, `--entities` with the features of entities.yml, each user with an own
device, address and card; `--serialize` locks the device as well. `--short` counts a plain and a scored INSERT only.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

import psycopg
import yaml

from benchmarks.inserts.run import USERS, prepared_server
from rowguard.declaration import KeyType, declared
from rowguard.local import find_postgres_binaries
from rowguard.resources import dbt_project
from simulator.user_keys import user_key

FEW, MANY = 20, 120
SHORT = ("plain INSERT", "scored INSERT")
# Values of the columns of entities.yml, of the user with that number.
VALUES = {"device_id": "'device {number}'", "ip": "inet '10.0.0.0' + {number}", "card_id": "'card {number}'"}


def main() -> None:
    """See the module."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not on PATH: install it; `make bench` measures times")
    options = argparse.ArgumentParser()
    options.add_argument("--user-id", choices=get_args(KeyType), default="bigint")
    for flag in ("entities", "serialize", "short"):
        options.add_argument(f"--{flag}", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.yml"
        path.write_text(features_file(given.user_id, given.entities, given.serialize))
        os.environ["ROWGUARD_FEATURES"] = str(path)
        with prepared_server() as (server, url):
            statements = parts(url)
            server.stop()
            counted = {
                name: instructions(server.data, text)
                for name, text in statements.items()
                if name in SHORT or not given.short
            }
    if given.short:
        print("\n".join(f"{name}: {count / 1e3:.0f} thousand" for name, count in counted.items()))
    else:
        print(markdown(counted))


def features_file(key_type: str, has_entities: bool, is_serialized: bool) -> str:
    """The text of features.yml: the list that ships with another key or more entities."""
    document = yaml.safe_load((dbt_project() / "features.yml").read_text())
    document["keys"]["user_id"] = key_type
    if has_entities:
        more = yaml.safe_load((Path(__file__).parent / "entities.yml").read_text())
        for section in ("columns", "entities"):
            document[section] |= more[section]
        document["features"] += with_words(more["features"])
    if is_serialized:
        document["entities"]["device"] = {"columns": ["device_id"], "serialize": True}
    return str(yaml.safe_dump(document, sort_keys=False))


def with_words(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The features with words by which they are reasons."""
    words = {"theme": "entities", "label": "Value", "high": "High", "low": "Low", "missing": "Missing"}
    return [feature | {"reason": words} for feature in features]


def parts(url: str) -> dict[str, str]:
    """A statement for each part; `{user}` is a user's id, `{number}` its number, `{turn}` the round."""
    more = [name for name in declared().columns if name in VALUES]
    names = ", ".join(["(user_id, amount, merchant_id, location", *more]) + ")"
    values = "".join(f", {VALUES[name]}" for name in more)
    returned = "RETURNING transaction_id, fraud_flag"
    row_of = f"{names} VALUES ({{user}}, 12.5, 7, 'DE'{values}) {returned}"
    elsewhere = f"{names} VALUES ({{user}}, 12.5, 7, 'place {{turn}}'{values}) {returned}"
    request = f"ROW({{user}}, 12.5, pg_catalog.now(), 7, 'DE'{values})::scoring.scoring_request"
    with psycopg.connect(url, autocommit=True) as connection:
        for number in _users():
            connection.execute(f"INSERT INTO public.transactions {_filled(row_of, number, 0)}".encode())
        row = connection.execute(
            "SELECT left(m.feature_hash, 8) FROM scoring.models AS m WHERE m.state = 'champion'"
        ).fetchone()
        connection.execute("CHECKPOINT")
    assert row is not None
    return {
        # IS NULL, as printing the result would cost more than some of the parts.
        "nothing": f"SELECT {request} IS NULL",
        "plain INSERT": f"INSERT INTO public.bench_plain {row_of}",
        "plain INSERT with domains": f"INSERT INTO public.bench_domains {row_of}",
        "INSERT with a no-op trigger": f"INSERT INTO public.bench_noop {row_of}",
        "features, live": f"SELECT features.live_feature_values_{row[0]}({request}) IS NULL",
        "features and model, by the facade": f"SELECT scoring.decide_transaction({request}) IS NULL",
        "scored INSERT": f"INSERT INTO public.transactions {row_of}",
        "scored INSERT elsewhere": f"INSERT INTO public.transactions {elsewhere}",
    }


def _users() -> list[int]:
    """The same few users again and again: their pages are in memory when counting begins."""
    return random.Random(1).sample(range(1, USERS + 1), FEW)


def _filled(statement: str, number: int, turn: int) -> str:
    key_type = declared().keys.user_id
    user = str(number) if key_type == "bigint" else f"'{user_key(number, key_type)}'"
    return statement.format(user=user, number=number, turn=turn)


def instructions(data: Path, statement: str) -> float:
    """Of executing the statement once, parsing and planning left out."""
    users = _users()
    counted = [
        count_script(data, [_filled(statement, users[i % FEW], i // FEW) for i in range(times)])
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
