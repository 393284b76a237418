"""Explanations over HTTP."""

from __future__ import annotations

import pytest

from rowguard.database import fetch_one
from tests.db.api.conftest import Api
from tests.user_keys import user


def test_a_stored_decision(api: Api) -> None:
    stored = api.client.post("/transactions", json={"user_id": 7, "amount": 4900, "location": "BR"}).json()
    path = f"/transactions/7/{stored['transaction_id']}/explanation"
    response = api.client.get(path)
    assert response.status_code == 200
    body = response.json()
    total = body["base_value"] + sum(row["contribution"] for row in body["contributions"])
    assert abs(total - stored["fraud_probability"]) <= 1e-12
    assert body["model_version"] == stored["model_version"] and body["base"]
    top = api.client.get(path, params={"top": 2}).json()
    assert top["contributions"] == body["contributions"][:2] and top["reasons"] == body["reasons"]


@pytest.mark.parametrize(
    "body",
    [
        {"transaction_amount": 450.75, "num_txns_last_hour": 12},
        {"user_id": 7, "amount": 450.75, "location": "DE"},
    ],
)
def test_a_prediction(api: Api, body: dict[str, object]) -> None:
    plain = api.client.post("/predict", json=body).json()
    explained = api.client.post("/predict", json={**body, "explain": True}).json()
    explanation = explained.pop("explanation")
    assert "explanation" not in plain
    assert explained["fraud_probability"] == pytest.approx(plain["fraud_probability"])
    total = explanation["base_value"] + sum(row["contribution"] for row in explanation["contributions"])
    assert abs(total - explained["fraud_probability"]) <= 1e-12


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("7/0/explanation", 404, f"user {user(7)} has no transaction 0"),
        ("7/x/explanation", 422, "transaction_id: is no integer"),
        ("7/99999999999999999999/explanation", 422, "transaction_id: is no integer"),
        ("7/0/explanation?top=0", 422, "top: is no integer from 1"),
        ("7/0/explanation?limit=5", 422, "limit: is no parameter"),
    ],
)
def test_bad_input(api: Api, path: str, status: int, detail: str) -> None:
    response = api.client.get(f"/transactions/{path}")
    assert response.status_code == status
    assert detail in response.json()["detail"]


def test_a_batch_takes_no_explanations(api: Api) -> None:
    response = api.client.post(
        "/predict/batch", json={"items": [{"user_id": 1, "amount": 1, "explain": True}]}
    )
    assert response.status_code == 422 and "explain" in response.json()["detail"]
    response = api.client.post("/transactions", json={"user_id": 1, "amount": 1, "explain": True})
    assert response.status_code == 422 and "explain" in response.json()["detail"]


def test_rows_and_models_that_cannot_be_explained(api: Api) -> None:
    with api.database.connect() as connection:
        user, transaction = fetch_one(
            connection, "SELECT user_id, transaction_id FROM transactions WHERE is_history LIMIT 1"
        )
    response = api.client.get(f"/transactions/{user}/{transaction}/explanation")
    assert response.status_code == 409 and "it was imported as history" in response.json()["detail"]
    stored = api.client.post("/transactions", json={"user_id": 7, "amount": 5}).json()
    with api.database.connect() as connection:
        connection.execute("SELECT scoring.drop_explanation(%s)", [stored["model_version"]])
    try:
        response = api.client.get(f"/transactions/7/{stored['transaction_id']}/explanation")
        assert response.status_code == 410 and stored["model_version"] in response.json()["detail"]
        response = api.client.post("/predict", json={"user_id": 7, "amount": 5, "explain": True})
        assert response.status_code == 410
    finally:
        with api.database.connect() as connection:
            connection.execute("SELECT scoring.build_explanation(%s)", [stored["model_version"]])
