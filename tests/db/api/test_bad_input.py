"""Bad input is 422, names the field, and stores nothing; 64-bit integers stay exact."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.db.api.conftest import Api, Count, problem

FEATURES = {
    "transaction_amount": 450.75,
    "time_since_last_txn": 1.5,
    "num_txns_last_hour": 12,
    "user_location_match": True,
}
JSON = {"Content-Type": "application/json"}
RAW = {"user_id": 42, "amount": 450.75}
LABEL = {"user_id": 42, "transaction_id": 1, "is_fraud": True}
NAN, INFINITY = float("nan"), float("inf")
MISSING = object()

BAD_FEATURES: list[tuple[str, list[Any]]] = [
    (
        "transaction_amount",
        [-0.01, NAN, INFINITY, -INFINITY, 1e12, 10**400, "450", "x", True, None, [], {}, MISSING],
    ),
    ("time_since_last_txn", [-1, NAN, INFINITY, 1e13, "1.5", True]),
    ("num_txns_last_hour", [-1, 1.5, 2**31, 10**30, "12", True, NAN]),
    ("user_location_match", ["yes", 1, 2, "x"]),
    ("colour", ["red"]),
]
BAD_RAW: list[tuple[str, list[Any]]] = [
    ("user_id", ["4 2", "", "x", "9" * 20, "9223372036854775808", 1.5, float(2**53), -1e18, 2**63, -(2**63) - 1, 10**30, True,
                 None, MISSING]),
    ("amount", [-0.01, NAN, INFINITY, 1e12, 0.00001, "free", "NaN", "1e-99999999", True, None, [], MISSING]),
    ("merchant_id", ["7.0", 1.5, 1e16, 2**63, True]),
    ("location", ["x" * 65, "a\x00b", "\ud800", 5]),
    ("occurred_at", ["2026-11-23T12:00:00", "2026-11-23", "yesterday", "9999-12-31T23:59:59-14:00", "", True, 1e30,
                     "2100-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", {}]),
    ("colour", ["red"]),
    ("fraud_flag", ["LEGITIMATE"]),
]  # fmt: skip
BAD_LABELS: list[tuple[str, list[Any]]] = [
    ("user_id", ["-", 2**63, None, MISSING]),
    ("transaction_id", ["1e3", -(2**63) - 1, MISSING]),
    ("is_fraud", ["maybe", "true", 1, None, MISSING]),
    ("labelled_at", ["2026-11-23T12:00:00", "soon", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00",
                     "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"]),
    ("source", ["", "x" * 65, "a\x00b", 5]),
    ("colour", ["red"]),
]  # fmt: skip


def cases() -> list[Any]:
    table = [
        ("/predict", FEATURES, BAD_FEATURES),
        ("/predict", RAW, BAD_RAW),
        ("/transactions", RAW, BAD_RAW),
        ("/labels", LABEL, BAD_LABELS),
    ]
    return [
        pytest.param(path, good, field, value, id=f"{path[1:]}-{field}-{_shown(value)}")
        for path, good, fields in table
        for field, values in fields
        for value in values
        # Without both of its fields a body is taken for the other form.
        if not (path == "/predict" and value is MISSING and good is RAW)
    ]


def _shown(value: Any) -> str:
    return "missing" if value is MISSING else ascii(value)[:24]


@pytest.mark.parametrize(("path", "good", "field", "value"), cases())
def test_a_bad_value_is_rejected_by_name(
    api: Api, path: str, good: dict[str, Any], field: str, value: Any
) -> None:
    body = {name: one for name, one in good.items() if name != field}
    if value is not MISSING:
        body[field] = value
    answer = api.client.post(path, content=json.dumps(body), headers=JSON)
    document = problem(answer, 422)
    errors = document["errors"]
    assert isinstance(errors, list) and [error["field"] for error in errors] == [field]
    assert errors[0]["message"] and str(document["detail"]).startswith(f"{field}: ")


@pytest.mark.parametrize("path", ["/predict", "/transactions", "/labels"])
@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'"x"', b"1", b"{'user_id': 1}", b'{"amount": }', b"\xff\xfe", b"[" * 50_000,
     b'{"transaction_amount": ' + b"9" * 5_000 + b"}"],
)  # fmt: skip
def test_a_body_that_is_not_an_object_is_rejected(api: Api, path: str, text: bytes) -> None:
    answer = api.client.post(path, content=text, headers=JSON)
    errors = problem(answer, 422)["errors"]
    assert isinstance(errors, list) and [error["field"] for error in errors] == ["body"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"]
)
def test_another_content_type_is_rejected(api: Api, content_type: str) -> None:
    answer = api.client.post("/predict", content=json.dumps(FEATURES), headers={"Content-Type": content_type})
    errors = problem(answer, 422)["errors"]
    assert isinstance(errors, list) and errors[0]["field"] == "body"


@pytest.mark.parametrize(
    ("text", "user_id"),
    [("9007199254740993", 2**53 + 1), ('"9007199254740993"', 2**53 + 1), ('"-9223372036854775808"', -(2**63)),
     ("9007199254740991.0", 2**53 - 1), ("5.0", 5), ('"007"', 7)],
)  # fmt: skip
def test_integers_of_64_bits_stay_exact(api: Api, text: str, user_id: int) -> None:
    content = f'{{"user_id": {text}, "amount": 1}}'
    response = api.client.post("/transactions", content=content, headers=JSON)
    assert response.status_code == 201, response.text
    assert response.json()["user_id"] == user_id


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_1_to_255_characters(api: Api, key: str) -> None:
    answer = api.client.post("/transactions", json=RAW, headers={"Idempotency-Key": key})
    assert str(problem(answer, 422)["detail"]).startswith("idempotency-key: ")


def test_all_bad_fields_are_named(api: Api) -> None:
    errors = problem(
        api.client.post("/predict", json=FEATURES | {"transaction_amount": -1, "colour": 1}), 422
    )["errors"]
    assert isinstance(errors, list) and {error["field"] for error in errors} == {
        "transaction_amount",
        "colour",
    }


def test_rejected_bodies_store_nothing(api: Api, rows_of: Count) -> None:
    stored = api.client.post("/transactions", json=RAW).json()
    before = rows_of("transactions"), rows_of("fraud_labels")
    for field, values in BAD_RAW:
        for value in values:
            if value is not MISSING:
                text = json.dumps(RAW | {field: value})
                assert api.client.post("/transactions", content=text, headers=JSON).status_code == 422
    label = LABEL | {"transaction_id": stored["transaction_id"]}
    for value in dict(BAD_LABELS)["labelled_at"]:
        assert api.client.post("/labels", json=label | {"labelled_at": value}).status_code == 422
    assert (rows_of("transactions"), rows_of("fraud_labels")) == before
