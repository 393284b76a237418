"""Access: every scope on every endpoint, and every way to have no valid token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.db.api.conftest import Api, count_rows, problem, serving
from tests.db.api.tokens import (
    SCOPES,
    SECRET,
    bearer,
    claims,
    rsa_key,
    rsa_token,
    tampered,
    token,
    unsigned,
    write_jwks,
)
from tests.fix_database import Workspace
from tests.waiting import wait_until

RAW = {"user_id": 42, "amount": 4.5}
LABEL = {"user_id": 987_654_321, "transaction_id": 9_000_000_000, "is_fraud": True}
RULE = {"name": "r", "when": "user_txn_count_1h > 900", "action": "review", "reason_code": "r", "reason": "r"}
RULES = {"document": {"rules": [RULE]}}
EXCEPTION = {"rule": "none", "user_id": "1", "ends_at": "2027-01-01T00:00:00Z", "reason": "r"}
# Endpoint, body, status for a client with access, and the scopes that open it; None: public.
ENDPOINTS: list[tuple[str, str, Any, int, frozenset[str] | None]] = [
    ("GET", "/", None, 200, None),
    ("GET", "/livez", None, 200, None),
    ("GET", "/readyz", None, 200, None),
    ("GET", "/docs", None, 200, None),
    ("GET", "/openapi.json", None, 200, None),
    ("GET", "/model", None, 200, frozenset({"predict", "admin"})),
    ("GET", "/metrics", None, 200, frozenset({"admin"})),
    ("POST", "/predict", {"transaction_amount": 4.5}, 200, frozenset({"predict"})),
    ("POST", "/predict/batch", {"items": [RAW]}, 200, frozenset({"predict"})),
    ("POST", "/transactions", RAW, 201, frozenset({"write"})),
    ("POST", "/labels", LABEL, 404, frozenset({"label"})),
    ("GET", "/reviews", None, 200, frozenset({"review"})),
    ("GET", "/reviews/999999", None, 404, frozenset({"review"})),
    ("POST", "/reviews/claim", {"case_id": 999_999}, 404, frozenset({"review"})),
    ("POST", "/reviews/decide", {"case_ids": [999_999], "decision": "unsure"}, 404, frozenset({"review"})),
    ("POST", "/reviews/999999/release", None, 404, frozenset({"review"})),
    ("POST", "/reviews/999999/reopen", {}, 404, frozenset({"review"})),
    ("GET", "/transactions/1/9000000000/explanation", None, 404, frozenset({"explain"})),
    ("GET", "/rules", None, 200, frozenset({"rules", "publish"})),
    ("POST", "/rules/check", RULES, 200, frozenset({"rules"})),
    ("POST", "/rules/backtest", RULES, 200, frozenset({"rules"})),
    ("GET", "/rules/drafts", None, 200, frozenset({"rules", "publish"})),
    ("POST", "/rules/drafts", RULES, 201, frozenset({"rules", "publish"})),
    ("GET", "/rules/drafts/999999", None, 404, frozenset({"rules", "publish"})),
    ("POST", "/rules/drafts/999999/edit", RULES, 404, frozenset({"rules"})),
    ("POST", "/rules/drafts/999999/approve", None, 404, frozenset({"publish"})),
    ("POST", "/rules/drafts/999999/publish", None, 404, frozenset({"publish"})),
    ("POST", "/rules/rollback", {"version": 1}, 409, frozenset({"publish"})),
    ("GET", "/rules/exceptions", None, 200, frozenset({"rules", "publish"})),
    ("POST", "/rules/exceptions", EXCEPTION, 404, frozenset({"rules", "publish"})),
    ("POST", "/rules/exceptions/999999/end", None, 404, frozenset({"rules", "publish"})),
    ("GET", "/rules/999999", None, 404, frozenset({"rules", "publish"})),
    ("GET", "/lists", None, 200, frozenset({"lists"})),
    ("POST", "/lists/create", {"name": "x", "column": "none", "kind": "block"}, 422, frozenset({"lists"})),
    ("GET", "/lists/none/entries", None, 404, frozenset({"lists"})),
    ("POST", "/lists/none/add", {"entries": [{"key": "1"}]}, 404, frozenset({"lists"})),
    ("POST", "/lists/none/remove", {"keys": ["1"]}, 404, frozenset({"lists"})),
]
# Invalid tokens of one address are limited to 20 per second.
REJECTIONS_APART_S = 0.15
HOLDERS: list[tuple[str, ...] | None] = [None, (), *((scope,) for scope in SCOPES), SCOPES]


def call(api: Api, method: str, path: str, body: Any, value: str | None) -> Any:
    headers = bearer(value) if value is not None else {}
    return api.client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize("mint", [token, rsa_token], ids=["HS256", "RS256"])
@pytest.mark.parametrize(
    "holder", HOLDERS, ids=lambda held: "nothing" if held is None else "+".join(held) or "no scope"
)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "opened_by"), ENDPOINTS, ids=[one[1] for one in ENDPOINTS]
)
def test_matrix(
    guarded_api: Api,
    method: str,
    path: str,
    body: Any,
    status: int,
    opened_by: frozenset[str] | None,
    holder: tuple[str, ...] | None,
    mint: Any,
) -> None:
    if holder is None and opened_by is not None:
        time.sleep(REJECTIONS_APART_S)
    response = call(guarded_api, method, path, body, None if holder is None else mint(*holder))
    if opened_by is None or (holder is not None and opened_by & set(holder)):
        assert response.status_code == status, response.text
    elif holder is None:
        problem(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer ")
    else:
        problem(response, 403)
        assert 'error="insufficient_scope"' in response.headers["www-authenticate"]


def test_the_matrix_names_every_endpoint_of_the_document(guarded_api: Api) -> None:
    document = guarded_api.client.get("/openapi.json").json()
    endpoints = [(method, _template(path, document["paths"]), *others) for method, path, *others in ENDPOINTS]
    named = {(method, path) for method, path, *_ in endpoints}
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert documented <= named
    for method, path, _, _, opened_by in endpoints:
        operation = document["paths"].get(path, {}).get(method.lower(), {})
        said = {scope for one in operation.get("security", []) for scope in one["bearer"]}
        assert said == set(opened_by or ()), path
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def _template(path: str, templates: Iterable[str]) -> str:
    """The documented path that a called one is matched by: itself, or one with parameters."""
    if path in templates:
        return path
    return next((each for each in templates if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each), path)), path)


def bad_tokens() -> dict[str, str]:
    good = token(*SCOPES)
    public = rsa_key().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = jwt.encode(claims(*SCOPES), "x" * 32, algorithm="HS256").split(".")
    confused = (
        base64.urlsafe_b64encode(hmac.new(pem, f"{head}.{body}".encode(), hashlib.sha256).digest())
        .decode()
        .rstrip("=")
    )
    return {
        "not a token": "x",
        "two parts": good.rpartition(".")[0],
        "no signature": unsigned(*SCOPES),
        "another secret": token(*SCOPES, secret="another-secret-another-secret-another-1"),
        "scopes changed": tampered(token("predict"), scope=" ".join(SCOPES)),
        "expired": token(*SCOPES, exp=int(time.time()) - 3_600),
        "not yet valid": token(*SCOPES, nbf=int(time.time()) + 3_600),
        "another audience": token(*SCOPES, aud="elsewhere"),
        "no audience": token(*SCOPES, aud=None),
        "no expiry": token(*SCOPES, exp=None),
        "no subject": token(*SCOPES, sub=None),
        "HS512": jwt.encode(claims(*SCOPES), SECRET * 2, algorithm="HS512"),
        "unknown key": rsa_token(*SCOPES, key="three"),
        "another key under a known name": rsa_token(*SCOPES, key="three", kid="one"),
        "public key as secret": f"{head}.{body}.{confused}",
        "deep header": base64.urlsafe_b64encode(b"[" * 9_000).decode() + ".e30.x",
    }


@pytest.mark.parametrize("name", bad_tokens())
def test_bad_tokens_open_nothing(guarded_api: Api, name: str) -> None:
    before = count_rows(guarded_api, "transactions")
    time.sleep(1.1 if name == "not a token" else REJECTIONS_APART_S)  # the first lets the matrix pass
    response = call(guarded_api, "POST", "/transactions", RAW, bad_tokens()[name])
    problem(response, 401)
    assert count_rows(guarded_api, "transactions") == before


@pytest.mark.parametrize("given", ["Basic dXNlcjpwYXNz", "Bearer", "Token abc", "Bearer a b"])
def test_other_headers_are_no_token(guarded_api: Api, given: str) -> None:
    time.sleep(REJECTIONS_APART_S)
    problem(guarded_api.client.get("/model", headers={"Authorization": given}), 401)


def test_a_list_of_scopes_counts_too(guarded_api: Api) -> None:
    value = token(scope=None, scp=["predict", 5, "nonsense"])
    assert call(guarded_api, "GET", "/model", None, value).status_code == 200
    problem(call(guarded_api, "GET", "/metrics", None, value), 403)


def test_an_idempotency_key_belongs_to_the_subject_of_the_token(guarded_api: Api) -> None:
    """Another client with the same key and the same request gets a separate row, and never the first one's."""

    def insert(subject: str, amount: float) -> Any:
        headers = bearer(token("write", sub=subject)) | {"Idempotency-Key": "shared"}
        body = {"user_id": 4_242, "amount": amount}
        return guarded_api.client.post("/transactions", json=body, headers=headers)

    first, retry, other, other_retry = insert("a", 5), insert("a", 5), insert("b", 5), insert("b", 5)
    assert [one.status_code for one in (first, retry, other, other_retry)] == [201, 200, 201, 200]
    assert first.json() == retry.json() and other.json() == other_retry.json()
    assert first.json()["transaction_id"] != other.json()["transaction_id"]
    problem(insert("a", 6), 409)
    assert insert("c", 6).status_code == 201


def test_an_unauthorised_body_is_not_even_read(guarded_api: Api) -> None:
    time.sleep(REJECTIONS_APART_S)
    response = guarded_api.client.post("/predict", content=b"{", headers={"content-type": "application/json"})
    problem(response, 401)


def test_keys_that_leave_the_file_stop_to_count(scored_template: Workspace, tmp_path: Path) -> None:
    jwks = write_jwks(tmp_path / "jwks.json", "one")
    with serving(scored_template.url, tmp_path, jwt_jwks_file=str(jwks)) as api:
        first, second = rsa_token("predict", key="one"), rsa_token("predict", key="two")
        assert call(api, "GET", "/model", None, first).status_code == 200
        problem(call(api, "GET", "/model", None, second), 401)
        problem(call(api, "GET", "/model", None, token("predict")), 401)
        write_jwks(jwks, "two")
        wait_until(
            lambda: call(api, "GET", "/model", None, first).status_code == 401,
            "the first key is forgotten",
        )
        assert call(api, "GET", "/model", None, second).status_code == 200
        jwks.write_text("broken")
        time.sleep(1.2)
        assert call(api, "GET", "/model", None, second).status_code == 200


def test_the_issuer_counts_where_one_is_set(scored_template: Workspace, tmp_path: Path) -> None:
    with serving(
        scored_template.url, tmp_path, jwt_secret=SECRET, jwt_issuer="https://id.example.com"
    ) as api:
        problem(call(api, "GET", "/model", None, token("predict")), 401)
        good = token("predict", iss="https://id.example.com")
        assert call(api, "GET", "/model", None, good).status_code == 200
