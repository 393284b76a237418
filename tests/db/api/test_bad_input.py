"""Bodies too large or too deep for a line of tests/corpus/http.yaml, and several bad fields at once."""

from __future__ import annotations

import pytest

from tests.db.api.conftest import Api, problem

JSON = {"Content-Type": "application/json"}


def fields_of(document: dict[str, object]) -> list[str]:
    errors = document["errors"]
    assert isinstance(errors, list)
    return [error["field"] for error in errors]


@pytest.mark.parametrize("path", ["/predict", "/transactions", "/labels"])
@pytest.mark.parametrize("text", [b"[" * 50_000, b'{"transaction_amount": ' + b"9" * 5_000 + b"}"])
def test_a_body_beyond_the_limits_of_json_is_rejected(api: Api, path: str, text: bytes) -> None:
    assert fields_of(problem(api.client.post(path, content=text, headers=JSON), 422)) == ["body"]


def test_all_bad_fields_are_named(api: Api) -> None:
    response = api.client.post("/predict", json={"transaction_amount": -1, "colour": 1})
    assert set(fields_of(problem(response, 422))) == {"transaction_amount", "colour"}
