"""The compiled function decides as an independent evaluation in Python does, for random rules and awkward values."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import numpy as np
import psycopg
import pytest

from rowguard.declaration import Declaration
from sql_scoring.rules.compile import compile_rules
from sql_scoring.rules.document import validate_rules
from sql_scoring.schema_files import BUILD_ORDER, read_schema_file
from tests.fix_database import _database
from tests.oracle.rule_oracle import LISTS, Node, evaluate, random_condition, random_row, to_sql

SEED = int(os.environ.get("ROWGUARD_TEST_SEED", "18"))
ROWS = 150
DECLARATION = Declaration.model_validate(
    {
        "columns": {
            "merchant_id": {"type": "bigint", "description": "d"},
            "location": {"type": "text", "description": "d"},
            "device": {"type": "uuid", "description": "d"},
            "is_abroad": {"type": "boolean", "description": "d"},
            "latitude": {"type": "double precision", "description": "d"},
        },
        "references": {
            "users": {
                "key": "user_id",
                "description": "d",
                "columns": {"home": {"type": "text", "description": "d"}},
            }
        },
        "features": [{"name": "speed", "expression": "latitude", "description": "d"}],
    }
)
QUERY = """
SELECT r.*
FROM unnest(%(rows)s::text[]) WITH ORDINALITY AS q (text, n)
CROSS JOIN LATERAL (SELECT q.text::jsonb AS v) AS j
CROSS JOIN LATERAL scoring.rule_set_1(
    ROW(1, (v ->> 'amount')::numeric, now(), (v ->> 'merchant_id')::bigint, v ->> 'location', (v ->> 'device')::uuid,
        (v ->> 'is_abroad')::boolean, (v ->> 'latitude')::float8)::scoring.scoring_request,
    jsonb_populate_record(NULL::scoring.decision, jsonb_build_object(
        'fraud_probability', v -> 'fraud_probability', 'is_fraud', false, 'feature_values',
        jsonb_build_array(v -> 'speed')
    )),
    (SELECT array_agg(t.x) FROM jsonb_array_elements_text(v -> 'lists') AS t (x)), false, false, now(), '{}'
) AS r
ORDER BY q.n
"""


@pytest.fixture(scope="module")
def database(server_url: str) -> Any:
    """A schema with columns of every kind that ranks are made of, and two lists."""
    with _database(server_url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("\n".join(read_schema_file(name, DECLARATION) for name in BUILD_ORDER).encode())
        for name in LISTS:
            connection.execute("SELECT scoring.create_list(%s, 'merchant_id', 'other')", [name])
        yield connection


@pytest.mark.parametrize("seed", range(SEED, SEED + 40))
def test_random_rule_sets_decide_as_the_oracle(database: psycopg.Connection, seed: int) -> None:
    source = random.Random(seed)
    trees: dict[str, Node] = {}
    rules: list[dict[str, Any]] = []
    for number in range(source.choice([1, 3, 8, 9, 30])):
        name = f"rule_{number:02}"
        trees[name] = random_condition(source)
        rules.append(
            {
                "name": name,
                "when": to_sql(trees[name]),
                "action": source.choice(["approve", "review", "decline"]),
                "reason_code": f"r{number}",
                "reason": "r",
                "priority": source.randint(1, 5),
                "mode": source.choice(["live", "live", "shadow"]),
            }
        )
    rule_set = validate_rules({"rules": rules})
    _create(database, compile_rules(rule_set, 1, DECLARATION, ["speed"]).sql_text)
    rows = [random_row(source) for _ in range(ROWS)]
    # Features are stored as real.
    for row in rows:
        if row["speed"] is not None:
            row["speed"] = float(np.float32(row["speed"]))
    lists = [{name for name in LISTS if source.random() < 0.3} for _ in rows]
    decisions = database.execute(
        QUERY, {"rows": [_json(row, names) for row, names in zip(rows, lists, strict=True)]}
    ).fetchall()
    severity = {"decline": 0, "review": 1, "approve": 2}
    ordered = sorted(rules, key=lambda rule: (rule["priority"], severity[rule["action"]], rule["name"]))
    for row, names, (outcome, reasons, version, matched) in zip(rows, lists, decisions, strict=True):
        holds = [evaluate(trees[rule["name"]], row, names) is True for rule in ordered]
        expected = [position for position, is_match in enumerate(holds, start=1) if is_match]
        live = [
            rule for rule, is_match in zip(ordered, holds, strict=True) if is_match and rule["mode"] == "live"
        ]
        assert version == 1
        assert outcome == (live[0]["action"] if live else "approve"), (row, names)
        if live:
            assert reasons[0] == live[0]["reason_code"]
        codes = [
            int.from_bytes((matched or b"")[at : at + 2], "big") for at in range(0, len(matched or b""), 2)
        ]
        lists_first = [code for code in codes if code >= 32768]
        assert len(lists_first) == len(names)
        assert codes[len(lists_first) :] == expected[: 7 - len(lists_first)], (row, names)


def _create(connection: psycopg.Connection, statement: str) -> None:
    connection.execute("DROP FUNCTION IF EXISTS scoring.rule_set_1")
    connection.execute(statement.encode())


def _json(row: dict[str, Any], lists: set[str]) -> str:
    values = {
        name: None if value is None else value if isinstance(value, bool) else str(value)
        for name, value in row.items()
    }
    values["speed"] = None if row["speed"] is None else repr(row["speed"]).replace("inf", "Infinity")
    for name in ("latitude", "fraud_probability"):
        if values[name] is not None:
            values[name] = repr(row[name]).replace("inf", "Infinity")
    return json.dumps({**values, "lists": sorted(lists)})
