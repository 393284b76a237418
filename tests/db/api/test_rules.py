"""Rules and lists over HTTP: a rule's life from draft to rollback, who did what, and every wrong request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.db.api.conftest import Api, _api_login, problem, serving
from tests.db.api.tokens import SECRET, bearer, token
from tests.fix_database import Workspace, _database, _settings

RULE = {
    "name": "large",
    "when": "amount > 500",
    "action": "review",
    "reason_code": "large",
    "reason": "A large amount",
    "mode": "live",
}


@pytest.fixture(scope="module")
def rules_api(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The API with tokens, with an address of the owner to publish by, and with approvals."""
    folder = tmp_path_factory.mktemp("rules")
    with _database(server_url, scored_template.url) as url:
        workspace = Workspace(url, _settings(url, folder))
        settings = {
            "jwt_secret": SECRET,
            "rowguard_publish_database_url": url,
            "rules_need_approval": "true",
        } | {"api_request_timeout_s": "120"}
        with _api_login(workspace) as login_url, serving(login_url, folder, **settings) as running:
            running.workspace = workspace
            yield running


def call(api: Api, method: str, path: str, body: Any = None, sub: str = "ana") -> Any:
    headers = bearer(token("rules", "publish", "lists", "write", "predict", sub=sub))
    return api.client.request(method, path, json=body, headers=headers)


def document(**changes: Any) -> dict[str, Any]:
    # Without thresholds the model would decline some of these rows.
    return {"document": {"thresholds": {}, "rules": [RULE | changes]}}


def insert(api: Api, amount: float, user: int = 77) -> Any:
    return call(api, "POST", "/transactions", {"user_id": user, "amount": amount}).json()


def test_a_rules_life_from_draft_to_rollback(rules_api: Api) -> None:
    assert call(rules_api, "GET", "/rules").json() == []
    assert insert(rules_api, 600)["outcome"] is None
    checked = call(rules_api, "POST", "/rules/check", document())
    assert checked.status_code == 200 and checked.json()["rules"] == 1
    tested = call(rules_api, "POST", "/rules/backtest", document(when="amount > 5")).json()
    assert tested["transactions"] > 1000 and tested["rules"][0]["matched"] > 0
    draft = call(rules_api, "POST", "/rules/drafts", {**document(), "note": "first"})
    assert draft.status_code == 201
    path = f"/rules/drafts/{draft.json()['draft_id']}"
    found = problem(call(rules_api, "POST", f"{path}/publish"), 409)
    assert "needs the approval of another person than ana" in str(found["detail"])
    problem(call(rules_api, "POST", f"{path}/approve"), 409)
    assert call(rules_api, "POST", f"{path}/approve", sub="bo").json()["approved_by"] == "bo"
    # An edit ends the approval.
    assert call(rules_api, "POST", f"{path}/edit", document(priority=5)).json()["approved_by"] is None
    assert call(rules_api, "POST", f"{path}/approve", sub="bo").status_code == 200
    published = call(rules_api, "POST", f"{path}/publish", sub="cy")
    assert published.status_code == 200, published.text
    assert published.json()["version"] == 1
    (row,) = call(rules_api, "GET", "/rules").json()
    assert (row["published_by"], row["approved_by"], row["is_in_force"]) == ("cy", "bo", True)
    decided = insert(rules_api, 600)
    assert (decided["outcome"], decided["outcome_reasons"], decided["rule_set_version"]) == (
        "review",
        ["large"],
        1,
    )
    scored = call(rules_api, "POST", "/predict", {"user_id": 77, "amount": 600}).json()
    assert (scored["outcome"], scored["outcome_reasons"]) == ("review", ["large"])
    shown = call(rules_api, "GET", "/rules/1").json()
    assert shown["document"]["rules"][0]["priority"] == 5
    assert shown["matches"][0]["matched"] == 1
    problem(call(rules_api, "POST", f"{path}/publish"), 409)
    problem(call(rules_api, "POST", f"{path}/edit", document()), 409)
    exception = call(
        rules_api,
        "POST",
        "/rules/exceptions",
        {
            "rule": "large",
            "user_id": "77",
            "ends_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            "reason": "<b>house</b>",
        },
    )
    assert exception.status_code == 201
    assert insert(rules_api, 600)["outcome"] == "approve"
    (listed,) = call(rules_api, "GET", "/rules/exceptions").json()
    assert (listed["created_by"], listed["used_count"], listed["reason"]) == ("ana", 1, "<b>house</b>")
    number = exception.json()["exception_id"]
    assert call(rules_api, "POST", f"/rules/exceptions/{number}/end").status_code == 200
    problem(call(rules_api, "POST", f"/rules/exceptions/{number}/end"), 404)
    assert call(rules_api, "POST", "/rules/rollback", {"version": 0}).json()["version"] == 0
    assert insert(rules_api, 600)["outcome"] is None
    assert "in force already" in str(
        problem(call(rules_api, "POST", "/rules/rollback", {"version": 0}), 409)["detail"]
    )
    with rules_api.database.connect() as connection:
        assert connection.execute("SELECT * FROM scoring.outcome_differences").fetchall() == []


def test_lists_over_http(rules_api: Api) -> None:
    created = call(
        rules_api, "POST", "/lists/create", {"name": "blocked", "column": "user_id", "kind": "block"}
    )
    assert created.status_code == 201
    problem(
        call(rules_api, "POST", "/lists/create", {"name": "blocked", "column": "user_id", "kind": "block"}),
        409,
    )
    added = call(
        rules_api, "POST", "/lists/blocked/add", {"entries": [{"key": "78"}, {"key": "79", "reason": "x"}]}
    )
    assert added.json() == {"written": 2}
    assert insert(rules_api, 5, user=78)["outcome"] == "decline"
    page = call(rules_api, "GET", "/lists/blocked/entries").json()["entries"]
    assert {(entry["key"], entry["added_by"]) for entry in page} == {("78", "ana"), ("79", "ana")}
    after = call(rules_api, "GET", f"/lists/blocked/entries?after={page[0]['key']}").json()["entries"]
    assert after == page[1:]
    assert [
        entry["key"] for entry in call(rules_api, "GET", "/lists/blocked/entries?key=79").json()["entries"]
    ] == ["79"]
    assert call(rules_api, "GET", "/lists/blocked/entries?key=80").json()["entries"] == []
    assert call(rules_api, "POST", "/lists/blocked/remove", {"keys": ["78", "1"]}).json() == {"removed": 1}
    (row,) = call(rules_api, "GET", "/lists").json()
    assert (row["name"], row["entries"]) == ("blocked", 1)
    assert insert(rules_api, 5, user=78)["outcome"] == "approve"


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/rules/check", document(when="amuont > 1"), 422, "document.rules.0.when"),
        ("/rules/check", document(when="amount > 1; DROP TABLE users"), 422, "document.rules.0.when"),
        ("/rules/check", document(when="location ~ '(a+)+$'"), 422, "document.rules.0.when"),
        ("/rules/check", document(action="burn"), 422, "document.rules.0.action"),
        ("/rules/check", {"document": []}, 422, "document"),
        ("/rules/check", {"document": {"rules": [RULE, RULE]}}, 422, "document.rules.1.name"),
        ("/rules/check", {}, 422, "document"),
        ("/rules/backtest", {**document(), "rule": "none"}, 422, "rule"),
        ("/rules/backtest", {**document(), "from": "yesterday"}, 422, "from"),
        ("/rules/drafts", document(when="list.missing"), 422, "document.rules.0.when"),
        ("/rules/drafts/999/publish", None, 404, None),
        ("/rules/drafts/none/publish", None, 422, "draft_id"),
        ("/rules/rollback", {"version": 99}, 409, None),
        ("/rules/rollback", {"version": -1}, 422, "version"),
        (
            "/rules/exceptions",
            {"rule": "none", "user_id": "1", "ends_at": "2026-12-31T00:00:00Z", "reason": "r"},
            404,
            None,
        ),
        (
            "/rules/exceptions",
            {"rule": "none", "user_id": "1", "ends_at": "2026-12-31", "reason": "r"},
            422,
            "ends_at",
        ),
        (
            "/rules/exceptions",
            {"rule": "large", "user_id": "x", "ends_at": "2026-12-31T00:00:00Z", "reason": "r"},
            422,
            None,
        ),
        ("/lists/create", {"name": "a b", "column": "user_id", "kind": "block"}, 422, "name"),
        ("/lists/create", {"name": "ab", "column": "amount", "kind": "block"}, 422, "column_name"),
        ("/lists/none/add", {"entries": [{"key": "1"}]}, 404, None),
        ("/lists/none/add", {"entries": [{"key": "a\nb"}]}, 422, "entries.0.key"),
        ("/lists/none/remove", {"keys": []}, 422, "keys"),
    ],
)
def test_wrong_requests_are_one_clear_problem(
    rules_api: Api, path: str, body: Any, status: int, field: str | None
) -> None:
    found = problem(call(rules_api, "POST", path, body), status)
    if field is not None:
        assert found["errors"][0]["field"] == field, found  # type: ignore[index]


def test_keys_of_another_type_are_rejected(rules_api: Api) -> None:
    call(rules_api, "POST", "/lists/create", {"name": "numbers", "column": "user_id", "kind": "other"})
    found = problem(call(rules_api, "POST", "/lists/numbers/add", {"entries": [{"key": "seven"}]}), 422)
    assert "is no value of column user_id" in str(found["detail"])
    problem(call(rules_api, "GET", "/lists/none/entries"), 404)
    problem(call(rules_api, "GET", "/rules/999"), 404)
    problem(call(rules_api, "GET", "/lists/numbers/entries?page=2"), 422)
