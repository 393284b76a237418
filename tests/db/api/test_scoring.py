"""POST /predict, /predict/batch and /transactions."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.db.api.conftest import Api, Count, problem
from tests.user_keys import in_json, user

FEATURES = {
    "transaction_amount": 450.75,
    "time_since_last_txn": 1.5,
    "num_txns_last_hour": 12,
    "user_location_match": True,
}
SCORE = ("prediction", "probability", "flag", "fraud_probability", "model_version")
DECISION = {"transaction_id", "external_id", "user_id", "amount", "merchant_id", "location", "occurred_at", "fraud_flag",
            "fraud_probability", "model_version", "unscored_reason"}  # fmt: skip
SCORE_FEATURES = (
    "SELECT prediction, probability, flag, fraud_probability, model_version FROM score_features("
    "%(transaction_amount)s::float8, %(time_since_last_txn)s::float8, %(num_txns_last_hour)s::int,"
    " %(user_location_match)s::boolean)"
)
SCORE_RAW = (
    "SELECT prediction, probability, flag, fraud_probability, model_version FROM score_transaction("
    "user_id => %(user_id)s, amount => %(amount)s::numeric, merchant_id => %(merchant_id)s,"
    " location => %(location)s, occurred_at => %(occurred_at)s::timestamptz)"
)
INSERT = (
    "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)"
    " VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s, %(occurred_at)s)"
    " RETURNING fraud_probability, fraud_flag, model_version"
)


def test_four_features_get_the_score_of_the_sql_function(api: Api) -> None:
    for left_out in (None, "time_since_last_txn", "num_txns_last_hour", "user_location_match"):
        body = {name: value for name, value in FEATURES.items() if name != left_out}
        response = api.client.post("/predict", json=body)
        assert response.status_code == 200, response.text
        got = response.json()
        assert set(got) == {*SCORE, "message"}
        with api.database.connect() as connection:
            row = connection.execute(SCORE_FEATURES, dict.fromkeys(FEATURES) | body).fetchone()
        assert row == tuple(got[name] for name in SCORE)
        assert re.fullmatch(r"Prediction served successfully in \d+ms\.", got["message"])


def test_probability_is_the_confidence_in_the_prediction(api: Api) -> None:
    seen = set()
    for amount in (1, 20, 450.75, 5_000, 90_000):
        got = api.client.post("/predict", json={"transaction_amount": amount}).json()
        is_fraud = got["flag"] == "FRAUD"
        assert got["prediction"] == int(is_fraud)
        fraud = got["fraud_probability"]
        assert got["probability"] == (fraud if is_fraud else 1 - fraud)
        seen.add(fraud)
    assert len(seen) > 1


@pytest.mark.parametrize("user_id", [1, 7, 42, 300, 987_654_321])
def test_sql_function_api_and_insert_agree_bit_for_bit(api: Api, user_id: int) -> None:
    for amount, location in ((450.75, "DE"), (0.01, None), (12_345.6789, "FR")):
        raw: dict[str, Any] = {
            "user_id": user_id,
            "amount": amount,
            "merchant_id": 7,
            "location": location,
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        predicted = api.client.post("/predict", json=raw).json()
        with api.database.connect() as connection:
            asked = connection.execute(SCORE_RAW, raw | {"user_id": user(user_id)}).fetchone()
            inserted = connection.execute(INSERT, raw).fetchone()
        assert asked is not None and inserted is not None
        assert asked == tuple(predicted[name] for name in SCORE)
        assert inserted == (predicted["fraud_probability"], predicted["flag"], predicted["model_version"])


def test_predict_stores_nothing(api: Api, rows_of: Count) -> None:
    before = rows_of("transactions")
    assert api.client.post("/predict", json={"user_id": 42, "amount": 450.75}).status_code == 200
    assert rows_of("transactions") == before


def test_a_stored_transaction_returns_its_row(api: Api) -> None:
    moment = datetime.now(UTC) - timedelta(minutes=1)
    body = {
        "user_id": 42,
        "amount": 99.95,
        "merchant_id": 3,
        "location": "DE",
        "occurred_at": moment.isoformat(),
    }
    response = api.client.post("/transactions", json=body)
    assert response.status_code == 201, response.text
    got = response.json()
    assert set(got) == DECISION
    assert (
        got["user_id"] == in_json({"user_id": 42})["user_id"]
        and float(got["amount"]) == 99.95
        and got["merchant_id"] == 3
    )
    assert got["location"] == "DE" and datetime.fromisoformat(got["occurred_at"]) == moment
    assert got["fraud_flag"] in ("FRAUD", "LEGITIMATE") and got["unscored_reason"] is None
    with api.database.connect() as connection:
        stored = connection.execute(
            "SELECT fraud_flag, fraud_probability, model_version FROM transactions"
            " WHERE user_id = 42 AND transaction_id = %s",
            [got["transaction_id"]],
        ).fetchone()
    assert stored == (got["fraud_flag"], got["fraud_probability"], got["model_version"])


def test_two_required_fields_are_enough(api: Api) -> None:
    got = api.client.post("/transactions", json={"user_id": 5, "amount": 1}).json()
    assert got["merchant_id"] is None and got["location"] is None
    assert abs(datetime.fromisoformat(got["occurred_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_retry_returns_the_first_row(api: Api, rows_of: Count) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"user_id": 42, "amount": 450.75, "merchant_id": 7, "location": "DE"}
    first = api.client.post("/transactions", json=body, headers=key)
    before = rows_of("transactions")
    again = api.client.post("/transactions", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert rows_of("transactions") == before


@pytest.mark.parametrize(
    "change",
    [{"amount": 450.76}, {"merchant_id": 8}, {"merchant_id": None}, {"location": "FR"}, {"external_id": "other"},
     {"occurred_at": "2026-01-01T00:00:00Z"}],
)  # fmt: skip
def test_a_key_for_another_transaction_is_a_conflict(
    api: Api, rows_of: Count, change: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"user_id": 42, "amount": 450.75, "merchant_id": 7, "location": "DE"}
    assert api.client.post("/transactions", json=body, headers=key).status_code == 201
    before = rows_of("transactions")
    assert "Idempotency-Key" in str(
        problem(api.client.post("/transactions", json=body | change, headers=key), 409)
    )
    assert rows_of("transactions") == before


def test_a_transaction_brings_its_id_in_other_systems(api: Api, rows_of: Count) -> None:
    """It is unique per user: a second use is a conflict, and stores nothing, and no server error."""
    own = f"ch_{uuid.uuid4().hex}"
    body = {"user_id": 42, "amount": 12.5, "external_id": own}
    first = api.client.post("/transactions", json=body)
    assert first.status_code == 201 and first.json()["external_id"] == own
    before = rows_of("transactions")
    detail = problem(api.client.post("/transactions", json=body | {"amount": 13}), 409)["detail"]
    assert detail == "this external_id belongs to another transaction of the user"
    assert rows_of("transactions") == before
    assert api.client.post("/transactions", json=body | {"user_id": 43}).status_code == 201
    assert api.client.post("/transactions", json=body | {"external_id": None}).json()["external_id"] is None
    key = {"Idempotency-Key": uuid.uuid4().hex}
    retried = [
        api.client.post("/transactions", json=body | {"external_id": f"{own}-2"}, headers=key)
        for _ in range(2)
    ]
    assert [response.status_code for response in retried] == [201, 200]
    assert retried[0].json() == retried[1].json()


@pytest.mark.parametrize("value", ["", "x" * 256, "a\x00b", 7])
def test_an_id_of_other_systems_that_is_malformed_names_its_field(api: Api, value: object) -> None:
    body = {"user_id": 42, "amount": 1, "external_id": value}
    document = problem(api.client.post("/transactions", json=body), 422)
    assert str(document["detail"]).startswith("external_id: ")


def test_only_what_is_stored_takes_an_id_of_other_systems(api: Api) -> None:
    body = {"user_id": 42, "amount": 1, "external_id": "ch_1"}
    assert "external_id" in str(problem(api.client.post("/predict", json=body), 422)["detail"])
    schemas = api.client.get("/openapi.json").json()["components"]["schemas"]
    assert (
        "external_id" in schemas["NewTransaction"]["properties"]
        and "external_id" in schemas["Decision"]["properties"]
    )
    assert "external_id" not in schemas["PredictTransaction"]["properties"]


def test_a_key_has_no_control_characters(api: Api) -> None:
    body, headers = {"user_id": 42, "amount": 1}, {b"Idempotency-Key": b"a\x85b"}
    detail = problem(api.client.post("/transactions", json=body, headers=headers), 422)["detail"]
    assert str(detail).startswith("idempotency_key: ") and "control characters" in str(detail)


def test_a_key_belongs_to_one_user(api: Api) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    responses = [
        api.client.post("/transactions", json={"user_id": user, "amount": 1}, headers=key) for user in (1, 2)
    ]
    assert [response.status_code for response in responses] == [201, 201]


def test_sixteen_retries_at_once_store_one_row(api: Api) -> None:
    key, body = uuid.uuid4().hex, {"user_id": 77, "amount": 10.5}

    def send(_: int) -> tuple[int, dict[str, Any]]:
        response = api.client.post("/transactions", json=body, headers={"Idempotency-Key": key})
        return response.status_code, response.json()

    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(send, range(16)))
    assert sorted(status for status, _ in responses) == [200] * 15 + [201]
    assert all(document == responses[0][1] for _, document in responses)
    with api.database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM transactions WHERE idempotency_key = %s", [key]
        ).fetchone()
    assert row == (1,)


RAW = {"user_id": 42, "amount": 450.75, "location": "DE", "occurred_at": "2026-11-01T12:00:00Z"}
ONE_FEATURE = {"transaction_amount": 450.75}


def test_a_batch_returns_in_order_what_single_calls_return(api: Api, rows_of: Count) -> None:
    items = [{"transaction_amount": 10.0 * n} if n % 3 else RAW | {"user_id": n} for n in range(30)]
    before = rows_of("transactions")
    response = api.client.post("/predict/batch", json={"items": items})
    assert response.status_code == 200, response.text
    singles = [api.client.post("/predict", json=item).json() for item in items]
    for single in singles:
        del single["message"]
    assert response.json()["predictions"] == singles
    assert response.json()["message"].startswith("30 predictions served successfully in ")
    assert rows_of("transactions") == before


def test_a_batch_has_at_most_1000_items(api: Api) -> None:
    response = api.client.post("/predict/batch", json={"items": [ONE_FEATURE] * 1_001})
    assert str(problem(response, 422)["detail"]).startswith("items: ")


def test_concurrent_callers_get_their_own_scores(api: Api) -> None:
    items = [{"transaction_amount": float(n)} for n in range(1, 1_001)]
    batch = api.client.post("/predict/batch", json={"items": items}).json()["predictions"]

    def predict(item: dict[str, float]) -> float:
        return float(api.client.post("/predict", json=item).json()["fraud_probability"])

    with ThreadPoolExecutor(16) as threads:
        singles = list(threads.map(predict, items[:400]))
    assert singles == [score["fraud_probability"] for score in batch[:400]]
    assert len(batch) == 1_000 and len(set(singles)) > 5


def test_a_row_whose_score_failed_is_stored_with_the_reason(api: Api) -> None:
    with api.database.connect() as connection, connection.transaction(force_rollback=False):
        version = _champion(connection)
        connection.execute(f"ALTER FUNCTION scoring.{version} RENAME TO set_aside".encode())
    try:
        response = api.client.post("/transactions", json={"user_id": 6, "amount": 1})
    finally:
        with api.database.connect() as connection:
            connection.execute(f"ALTER FUNCTION scoring.set_aside RENAME TO {version}".encode())
    assert response.status_code == 201
    got = response.json()
    assert (got["fraud_flag"], got["fraud_probability"], got["model_version"]) == (None, None, None)
    assert got["unscored_reason"].startswith("42883: ")


def _champion(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
    assert row is not None
    return str(row[0])
