"""Seconds of a backtest over 1.1 million rows: one rule, 50 rules, and one that matches half of the rows.

`python -m benchmarks.outcomes.backtest` needs no model: the rules name columns.
"""

from __future__ import annotations

import random
import statistics
import time

import psycopg

from rowguard.declaration import declared
from rowguard.local import temporary_server
from sql_scoring.rules.backtest import backtest_rules
from sql_scoring.rules.document import RuleSet, validate_rules
from sql_scoring.schema_files import BUILD_ORDER, read_schema_file

ROWS = 1_100_000
ROUNDS = 3


def main() -> None:
    """See the module."""
    with temporary_server() as server, psycopg.connect(server.url, autocommit=True) as connection:
        fill(connection)
        source = random.Random(1)
        cases = {
            "one rule": conditions(source, 1),
            "50 rules": conditions(source, 50),
            "one rule that matches half of the rows": ["amount > 500"],
        }
        for name, texts in cases.items():
            seconds = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                result = backtest_rules(connection, rule_set(texts), declared())
                seconds.append(time.perf_counter() - started)
            print(f"| {name} | {result.total.matched:,} | {statistics.median(seconds):.2f} |", flush=True)


def fill(connection: psycopg.Connection) -> None:
    """The schema, rows of 60 days, and labels of every twentieth."""
    for name in BUILD_ORDER:
        connection.execute(read_schema_file(name, declared()).encode())
    connection.execute("SET session_replication_role = replica")
    connection.execute(
        """
        INSERT INTO public.transactions
        (user_id, transaction_id, amount, merchant_id, location, occurred_at, received_at, is_history)
        SELECT
            n % 20000, n, (random() * 1000)::numeric(8, 2), (random() * 500)::integer,
            'L' || (random() * 40)::integer, now() - random() * interval '60 days', now(), true
        FROM generate_series(1, %s) AS n
        """,
        [ROWS],
    )
    connection.execute(
        """
        INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud)
        SELECT t.user_id, t.transaction_id, random() < 0.2
        FROM public.transactions AS t
        WHERE t.transaction_id % 20 = 0
        """
    )
    connection.execute("VACUUM ANALYZE")


def conditions(source: random.Random, rules: int) -> list[str]:
    """Conditions of three parts each."""
    return [
        f"amount > {source.randint(700, 990)} AND location IN ('L{number % 40}', 'L{number * 7 % 40}')"
        f" AND merchant_id % 50 = {number % 50}"
        for number in range(rules)
    ]


def rule_set(texts: list[str]) -> RuleSet:
    """A rule set of these conditions."""
    values = {"action": "review", "reason_code": "r", "reason": "r"}
    return validate_rules(
        {"rules": [{"name": f"r{n}", "when": text, **values} for n, text in enumerate(texts)]}
    )


if __name__ == "__main__":
    main()
