"""GET /, /livez, /readyz, /docs, /model, /metrics, POST /labels, and unknown paths and methods."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.db.api.conftest import Api, Count, problem


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_return_ok(api: Api, path: str) -> None:
    response = api.client.get(path)
    assert response.status_code == 200 and response.json()["status"] == "ok"


def test_head_is_get_without_a_body(api: Api) -> None:
    paths = ["/", "/livez", "/readyz", "/model", "/metrics", "/docs", "/openapi.json", "/nowhere"]
    for path in paths:
        head, get = api.client.head(path), api.client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert path == "/metrics" or head.headers["content-length"] == get.headers["content-length"]
    assert api.client.head("/predict").status_code == 405
    assert 'method="HEAD",route="/livez"' in api.client.get("/metrics").text


def test_the_documentation_needs_no_other_site(api: Api) -> None:
    page = api.client.get("/docs").text
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/"), address
        assert api.client.get(address).status_code == 200
    assert "http" not in re.sub(r"<!--.*?-->", "", page)


def test_docs_and_their_document_name_every_endpoint(api: Api) -> None:
    assert "text/html" in api.client.get("/docs").headers["content-type"]
    paths = api.client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/", "/livez", "/readyz", "/model", "/metrics", "/predict", "/predict/batch", "/transactions", "/labels",
        "/transactions/{user_id}/{transaction_id}/explanation", "/reviews", "/reviews/{case_id}", "/reviews/claim",
        "/reviews/decide", "/reviews/{case_id}/release", "/reviews/{case_id}/reopen", "/rules", "/rules/backtest",
        "/rules/check", "/rules/drafts", "/rules/drafts/{draft_id}", "/rules/drafts/{draft_id}/approve",
        "/rules/drafts/{draft_id}/edit", "/rules/drafts/{draft_id}/publish", "/rules/exceptions",
        "/rules/exceptions/{exception_id}/end", "/rules/rollback", "/rules/{version}", "/lists", "/lists/create",
        "/lists/{name}/add", "/lists/{name}/entries", "/lists/{name}/remove",
    }  # fmt: skip


def test_model_is_the_champion_of_the_registry(api: Api) -> None:
    got = api.client.get("/model").json()
    with api.database.connect() as connection:
        row = connection.execute(
            "SELECT version, threshold, feature_names, metrics, node_count FROM model_versions"
            " WHERE state = 'champion'"
        ).fetchone()
    assert row == (got["version"], got["threshold"], got["feature_names"], got["metrics"], got["node_count"])
    assert {"auc", "average_precision"} <= set(got["metrics"])


def test_metrics_count_requests_by_route_and_decisions_by_flag(api: Api) -> None:
    def value(line: str) -> float:
        response = api.client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        found = [row for row in response.text.splitlines() if row.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    served = 'rowguard_http_requests_total{method="POST",route="/predict",status="200"}'
    refused = 'rowguard_http_requests_total{method="POST",route="/predict",status="422"}'
    unknown = 'rowguard_http_requests_total{method="GET",route="unknown",status="404"}'
    timed = 'rowguard_http_request_duration_seconds_count{route="/predict"}'
    before = {line: value(line) for line in (served, refused, unknown, timed)}
    flag = api.client.post("/predict", json={"transaction_amount": 5}).json()["flag"]
    decided = f'rowguard_decisions_total{{endpoint="predict",flag="{flag}"}}'
    assert value(decided) >= 1
    api.client.post("/predict", json={})
    for path in ("/nowhere", "/nowhere/else"):
        api.client.get(path)
    after = {line: value(line) - before[line] for line in before}
    assert after == {served: 1, refused: 1, unknown: 2, timed: 2}


def test_a_label_is_stored_and_corrections_are_kept(api: Api, rows_of: Count) -> None:
    stored = api.client.post("/transactions", json={"user_id": 42, "amount": 3}).json()
    reference = {"user_id": 42, "transaction_id": stored["transaction_id"]}
    before = rows_of("fraud_labels")
    moment = datetime.now(UTC) - timedelta(hours=1)
    first = api.client.post("/labels", json=reference | {"is_fraud": True, "labelled_at": moment.isoformat()})
    second = api.client.post("/labels", json=reference | {"is_fraud": False, "source": "chargeback"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert set(first.json()) == {"label_id", "user_id", "transaction_id", "is_fraud", "labelled_at", "source"}
    assert datetime.fromisoformat(first.json()["labelled_at"]) == moment and first.json()["source"] == "api"
    assert second.json()["is_fraud"] is False and second.json()["source"] == "chargeback"
    assert second.json()["label_id"] > first.json()["label_id"]
    assert rows_of("fraud_labels") == before + 2


@pytest.mark.parametrize("reference", [(42, 9_000_000_000), (999_999_999, 1)])
def test_a_label_of_no_transaction_is_not_found(api: Api, rows_of: Count, reference: tuple[int, int]) -> None:
    before = rows_of("fraud_labels")
    user, transaction = reference
    response = api.client.post(
        "/labels", json={"user_id": user, "transaction_id": transaction, "is_fraud": True}
    )
    assert problem(response, 404)["detail"] == f"user {user} has no transaction {transaction}"
    assert rows_of("fraud_labels") == before


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("GET", "/transactions", "POST"), ("PUT", "/labels", "POST"), ("DELETE", "/", "GET"),
     ("POST", "/metrics", "GET"), ("POST", "/model", "GET")],
)  # fmt: skip
def test_wrong_methods_say_which_is_allowed(api: Api, method: str, path: str, allowed: str) -> None:
    response = api.client.request(method, path)
    problem(response, 405)
    assert response.headers["allow"] == allowed
