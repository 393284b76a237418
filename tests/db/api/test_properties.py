"""hypothesis: any input gets a documented response, and valid input the right one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.db.api.conftest import Api, problem

pytestmark = pytest.mark.slow

quick = settings(max_examples=150)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
bigint = st.integers(-(2**63), 2**63 - 1)
cents = st.decimals(0, Decimal("999999999999.9999"), places=4, allow_nan=False, allow_infinity=False)
places = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=64)
instants = st.datetimes(datetime(1970, 1, 2), datetime(2026, 11, 1), timezones=st.just(UTC))
features = st.fixed_dictionaries(
    {"transaction_amount": st.floats(0, 1e12, exclude_max=True)},
    optional={
        "time_since_last_txn": st.none() | st.floats(0, 1e12),
        "num_txns_last_hour": st.none() | st.integers(0, 2**31 - 1),
        "user_location_match": st.none() | st.booleans(),
    },
)
transactions = st.fixed_dictionaries(
    {"user_id": bigint, "amount": cents.map(str)},
    optional={
        "merchant_id": st.none() | bigint,
        "location": places,
        "occurred_at": st.none() | instants.map(datetime.isoformat),
    },
)
names = st.sampled_from(
    ["transaction_amount", "time_since_last_txn", "num_txns_last_hour", "user_location_match", "user_id", "amount",
     "merchant_id", "location", "occurred_at", "transaction_id", "is_fraud", "labelled_at", "source", "items"]
)  # fmt: skip
PATHS = ["/predict", "/predict/batch", "/transactions", "/labels"]


def send(api: Api, path: str, body: Any) -> Any:
    return api.client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


@quick
@given(path=st.sampled_from(PATHS), body=st.dictionaries(names, anything, max_size=6) | anything)
def test_any_json_gets_a_documented_response(api: Api, path: str, body: Any) -> None:
    response = send(api, path, body)
    assert response.status_code in (200, 201, 404, 422), response.text
    if response.status_code >= 400:
        problem(response, response.status_code)


@quick
@given(body=features)
def test_valid_features_get_the_score_of_the_database(api: Api, body: dict[str, Any]) -> None:
    got = send(api, "/predict", body).json()
    # The database rejects values below its single precision; over HTTP they are 0.
    body = {name: 0.0 if type(one) is float and one <= 2.0**-150 else one for name, one in body.items()}
    with api.database.connect() as connection:
        row = connection.execute(
            "SELECT fraud_probability, flag FROM score_features(%s::float8, %s::float8, %s::int, %s::boolean)",
            [body.get(name) for name in
             ("transaction_amount", "time_since_last_txn", "num_txns_last_hour", "user_location_match")],
        ).fetchone()  # fmt: skip
    assert row == (got["fraud_probability"], got["flag"])


@quick
@given(body=transactions, key=st.none() | st.text("abcXYZ09-_.", min_size=1, max_size=200))
def test_valid_transactions_are_stored_as_sent(api: Api, body: dict[str, Any], key: str | None) -> None:
    response = api.client.post("/transactions", json=body, headers={"Idempotency-Key": key} if key else {})
    assert response.status_code in (200, 201, 409), response.text
    if response.status_code == 201:
        got = response.json()
        with api.database.connect() as connection:
            row = connection.execute(
                "SELECT amount, merchant_id, location, fraud_probability FROM transactions"
                " WHERE user_id = %s AND transaction_id = %s",
                [got["user_id"], got["transaction_id"]],
            ).fetchone()
        assert row == (
            Decimal(body["amount"]), body.get("merchant_id"), body.get("location"), got["fraud_probability"]
        )  # fmt: skip
        assert got["unscored_reason"] is None


awkward_text = (
    st.none()
    | st.text(max_size=70)
    | st.sampled_from(["'; DROP TABLE transactions --", "\\", "\x01", "%s", "{}"])
)


@quick
@given(
    user=bigint | st.none(),
    amount=st.none() | st.decimals() | cents,
    location=awkward_text,
    key=awkward_text,
    moment=st.none() | st.datetimes(timezones=st.just(UTC)),
    flag=awkward_text,
)
def test_sql_inserts_are_decided_or_rejected(
    api: Api, user: Any, amount: Any, location: Any, key: Any, moment: Any, flag: Any
) -> None:
    """A row is rejected by a rule, or stored with the decision of the trigger."""
    with api.database.connect("rowguard_app") as connection, connection.transaction(force_rollback=True):
        try:
            row = connection.execute(
                "INSERT INTO transactions (user_id, amount, location, idempotency_key, occurred_at, fraud_flag,"
                " unscored_reason) VALUES (%s, %s, %s, %s, %s, %s, %s)"
                " RETURNING fraud_flag, fraud_probability, model_version, unscored_reason, amount",
                [user, amount, location, key, moment, flag, flag],
            ).fetchone()
        except (psycopg.DataError, psycopg.IntegrityError):
            return
    assert row is not None
    assert row[0] in ("FRAUD", "LEGITIMATE") and 0 <= row[1] <= 1 and row[2] and row[3] is None
    assert row[4] == amount and user is not None
