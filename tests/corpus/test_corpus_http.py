"""http.yaml: what HTTP clients send, and what comes of it."""

from __future__ import annotations

import pytest

from tests.corpus.conftest import Case, parameters
from tests.db.api.conftest import Api, count_rows, problem

METHODS = ("get", "post", "put", "delete")


@pytest.mark.parametrize("case", parameters("http"))
def test_http(api: Api, case: Case) -> None:
    (method,) = [name for name in METHODS if name in case]
    content = bytes.fromhex(case["bytes"]) if "bytes" in case else case.get("json", "").encode()
    headers = {"content-type": "application/json"} if method in ("post", "put") else {}
    before = _rows(api)
    answer = api.client.request(
        method, case[method], content=content, headers=headers | case.get("headers", {})
    )
    stored = _rows(api) - before
    assert answer.status_code == case["status"], answer.text
    if "answer" in case:
        document = answer.json()
        assert {name: document[name] for name in case["answer"]} == case["answer"]
        if method == "post" and case["post"] == "/predict":
            assert 0 <= document["fraud_probability"] <= 1 and document["model_version"]
        assert stored == (answer.status_code == 201)
        return
    assert stored == 0
    document = problem(answer, case["status"])
    assert case.get("says", "") in str(document["detail"])
    if "field" in case:
        errors = document["errors"]
        assert isinstance(errors, list) and [error["field"] for error in errors] == [case["field"]]
        assert errors[0]["message"] and str(document["detail"]).startswith(f"{case['field']}: ")


def _rows(api: Api) -> int:
    return count_rows(api, "transactions") + count_rows(api, "fraud_labels")
