"""sql.yaml: what SQL clients send, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.corpus.conftest import Case, parameters
from tests.fix_database import Workspace

Connection = psycopg.Connection[dict[str, Any]]
COUNTS = "SELECT (SELECT count(*) FROM transactions) AS rows, (SELECT count(*) FROM fraud_labels) AS labels"
# A row is decided and replays, or has its reason, and what the client sent for these columns is nowhere.
CHECK = """
SELECT num_nonnulls(fraud_flag, fraud_probability, model_version, scored_at, feature_values) = 5
    AND unscored_reason IS NULL AND NOT is_history AND fraud_flag IN ('FRAUD', 'LEGITIMATE')
    AND received_at BETWEEN now() - interval '1 minute' AND clock_timestamp()
    AND (SELECT state FROM model_versions AS m WHERE m.version = t.model_version) = 'champion' AS is_decided
FROM transactions AS t WHERE (user_id, transaction_id) = (%s, %s)
"""


@pytest.fixture(scope="module")
def connection(decided: Workspace) -> Iterator[Connection]:
    with psycopg.connect(decided.url, autocommit=True, row_factory=dict_row) as opened:
        yield opened


@pytest.mark.parametrize("case", parameters("sql"))
def test_sql(connection: Connection, case: Case) -> None:
    if connection.info.server_version < case.get("since", 0) * 10_000:
        pytest.skip(f"PostgreSQL {case['since']} and later")
    before = connection.execute(COUNTS).fetchone()
    with connection.transaction(force_rollback=True):
        if "refused" in case:
            with pytest.raises(_error_class(case["refused"])) as caught, connection.transaction():
                _do(connection, case)
            said = caught.value.diag.message_primary or str(caught.value)
            assert case["says"] in said and "\n" not in said
            assert connection.execute(COUNTS).fetchone() == before
            return
        found = _do(connection, case)
        connection.execute("RESET ROLE")
        if "gives" in case:
            assert [[_plain(value) for value in row.values()] for row in found] == case["gives"]
        elif "scored" in case:
            (score,) = found
            assert 0 <= score["fraud_probability"] <= 1 and score["flag"] in ("FRAUD", "LEGITIMATE")
            assert connection.execute(COUNTS).fetchone() == before
        else:
            assert found
            for row in found:
                _stored_as(connection, row, case["stored"])


def _do(connection: Connection, case: Case) -> list[dict[str, Any]]:
    connection.execute(f"SET LOCAL ROLE {case.get('as', 'rowguard_app')}".encode())
    if "insert" in case:
        text = f"INSERT INTO transactions {case['insert']} RETURNING user_id, transaction_id"
    elif "ask" in case:
        text = f"SELECT * FROM score_transaction({case['ask']})"
    elif "features" in case:
        text = f"SELECT * FROM score_features({case['features']})"
    else:
        text = case["do"]
    cursor = connection.execute(text.encode(), case.get("with"))
    while cursor.nextset():
        pass
    return cursor.fetchall()


def _stored_as(connection: Connection, key: dict[str, Any], expected: dict[str, Any]) -> None:
    row = connection.execute(
        "SELECT * FROM transactions WHERE (user_id, transaction_id) = (%(user_id)s, %(transaction_id)s)", key
    ).fetchone()
    assert row is not None
    stored = {name: _plain(row[name]) for name in expected if name != "occurred_at"}
    assert stored == {name: value for name, value in expected.items() if name != "occurred_at"}
    if "occurred_at" in expected:
        same = connection.execute(
            "SELECT %s = %s::timestamptz AS same", [row["occurred_at"], expected["occurred_at"]]
        ).fetchone()
        assert same == {"same": True}
    check = connection.execute(CHECK, [row["user_id"], row["transaction_id"]]).fetchone()
    assert check == {"is_decided": True}


def _error_class(name: str) -> type[psycopg.Error]:
    found: type[psycopg.Error] = getattr(psycopg.errors, name, None) or getattr(psycopg, name)
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
