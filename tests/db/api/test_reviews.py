"""/reviews: the reviewer is the token's subject, and a case that another took is a conflict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.db.api.conftest import problem
from tests.db.api.tokens import SECRET, bearer, token
from tests.db.console.conftest import Browser, Console, insert, running_console
from tests.fix_database import Workspace

Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def guarded(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("reviews")
    with running_console(server_url, scored_template, folder, jwt_secret=SecretStr(SECRET)) as running:
        yield running


@pytest.fixture(scope="module")
def call(guarded: Console) -> Call:
    client = Browser(guarded.portal, guarded.app)

    def send(who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = bearer(token("review", sub=who))
        return client.request(method, f"/reviews{path}", json=body, headers=headers)

    return send


def test_the_life_of_a_case(guarded: Console, call: Call) -> None:
    insert(guarded.database, 90_001, 90_001, 90_002)
    cases = call("ann", "GET", "").json()["cases"]
    assert [(case["user_id"], case["state"], case["transaction_count"]) for case in cases] == [
        (90_001, "open", 2),
        (90_002, "open", 1),
    ]
    first, second = (case["case_id"] for case in cases)
    claimed = call("ann", "POST", "/claim", {})
    assert claimed.json()["case_id"] == first and claimed.json()["claimed_by"] == "ann"
    for path, body in (
        ("/claim", {"case_id": first}),
        ("/decide", {"case_ids": [second, first], "decision": "fraud"}),
        (f"/{first}/release", None),
    ):
        assert problem(call("bob", "POST", path, body), 409)["detail"] == f"case {first} is claimed by ann"
    decided = call(
        "ann", "POST", "/decide", {"case_ids": [first, second], "decision": "fraud", "note": "sure"}
    )
    assert {case["decision"] for case in decided.json()["cases"]} == {"fraud"}
    shown = call("bob", "GET", f"/{first}").json()
    assert len(shown["transactions"]) == 2 and shown["decided_by"] == "ann"
    assert [event["action"] for event in shown["events"]] == ["review.open", "review.claim", "review.decide"]
    assert problem(call("bob", "POST", "/claim", {"case_id": first}), 409)
    reopened = call("bob", "POST", f"/{first}/reopen", {"note": "the user called"}).json()
    assert reopened["state"] == "open" and reopened["decision"] is None
    call("bob", "POST", "/claim", {"case_id": first})
    assert call("bob", "POST", f"/{first}/release").json()["state"] == "open"
    assert [case["case_id"] for case in call("bob", "GET", "?state=decided&limit=1").json()["cases"]] == [
        second
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("GET", "?state=x", None, 422, "state: is none of waiting, open, claimed, decided"),
        ("GET", "?limit=0", None, 422, "limit: is no integer from 1 to 1000"),
        ("GET", "?order=x", None, 422, "order: is no parameter; there are: limit, state"),
        ("GET", "/999999", None, 404, "there is no case 999999"),
        ("GET", "/99999999999999999999", None, 404, "there is no case 99999999999999999999"),
        ("POST", "/decide", {"case_ids": [], "decision": "fraud"}, 422, "case_ids: "),
        ("POST", "/decide", {"case_ids": [1], "decision": "guilty"}, 422, "decision: "),
        ("POST", "/decide", {"case_ids": [1], "decision": "fraud", "by": "eve"}, 422, "by: "),
        ("POST", "/decide", {"case_ids": [1], "decision": "fraud", "note": "a\u0007"}, 422, "note: "),
        ("POST", "/decide", {"case_ids": [1], "decision": "fraud", "expires_at": "2027-01-01T00:00:00"}, 422, "expires_at: "),
        ("POST", "/claim", {"case_id": 999_999}, 404, "there is no case 999999"),
        ("POST", "/999999/reopen", {}, 404, "there is no case 999999"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_clear_line(
    call: Call, method: str, path: str, body: Any, status: int, detail: str
) -> None:
    assert str(problem(call("ann", method, path, body), status)["detail"]).startswith(detail)
