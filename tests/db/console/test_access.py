"""Access to the console: every role on every page and action, sessions, forged requests, links."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from api.console.roles import PERMISSIONS, ROLES
from api.console.secret import LINK_AUDIENCE
from api.console.sessions import Allow
from tests.db.console.conftest import SECRET, Browser, Console, insert

# Method, path, form, and the permission that opens it; None: everyone.
PAGES: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("GET", "/login", {}, None),
    ("GET", "/login/provider", {}, None),
    ("GET", "/login/callback", {}, None),
    ("POST", "/logout", {}, "read"),
    ("GET", "/", {}, "read"),
    ("GET", "/reviews", {}, "read"),
    ("GET", "/reviews/{case_id}", {}, "read"),
    ("POST", "/reviews/claim", {"case_id": "1"}, "review"),
    ("POST", "/reviews/decide", {"case_id": "999999", "decision": "fraud"}, "review"),
    ("POST", "/reviews/{case_id}/release", {}, "review"),
    ("POST", "/reviews/{case_id}/reopen", {}, "review"),
    ("POST", "/reviews/{case_id}/take-away", {}, "release"),
    ("GET", "/transactions/{user_id}/{transaction_id}", {}, "read"),
    ("GET", "/transactions/{user_id}/{transaction_id}/replay", {}, "read"),
    ("GET", "/rules", {}, "read"),
    ("POST", "/rules/drafts", {}, "edit"),
    ("GET", "/rules/drafts/{draft_id}", {}, "read"),
    ("POST", "/rules/drafts/{draft_id}", {"text": "rules: []", "seen": "x"}, "edit"),
    ("POST", "/rules/check", {"text": "rules: []"}, "edit"),
    ("POST", "/rules/backtest", {"text": "rules: []"}, "edit"),
    ("POST", "/rules/drafts/{draft_id}/approve", {"seen": "x"}, "approve"),
    ("POST", "/rules/drafts/{draft_id}/publish", {}, "approve"),
    ("POST", "/rules/rollback", {"version": "1"}, "approve"),
    (
        "POST",
        "/rules/exceptions",
        {"rule": "x", "user_id": "1", "until": "2027-01-01", "reason": "y"},
        "edit",
    ),
    ("POST", "/rules/exceptions/{exception_id}/end", {}, "edit"),
    ("GET", "/lists", {}, "read"),
    ("POST", "/lists", {"name": "X", "column": "user_id", "kind": "block"}, "edit"),
    ("GET", "/lists/{name}", {}, "read"),
    ("POST", "/lists/{name}/add", {"keys": "1"}, "edit"),
    ("POST", "/lists/{name}/remove", {"keys": "1"}, "edit"),
    ("GET", "/models", {}, "read"),
    ("POST", "/models/promote", {}, "approve"),
    ("POST", "/models/rollback", {}, "approve"),
    ("POST", "/models/challenge", {"version": "x"}, "approve"),
    ("GET", "/monitoring", {}, "read"),
    ("GET", "/audit", {}, "audit"),
]
PERMITTED = {
    "read": set(ROLES),
    "review": {"analyst", "administrator"},
    "release": {"administrator"},
    "edit": {"rule_author", "administrator"},
    "approve": {"approver", "administrator"},
    "audit": {"approver", "administrator"},
}


def console_routes(app: FastAPI) -> list[APIRoute]:
    mounted = next(route.app for route in app.routes if isinstance(route, Mount) and route.path == "/console")
    assert isinstance(mounted, FastAPI)
    return [route for route in mounted.routes if isinstance(route, APIRoute)]


def permission_of(route: APIRoute) -> str | None:
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return next((call.permission for call in calls if isinstance(call, Allow)), None)


@pytest.fixture(scope="module")
def browsers(console: Console) -> dict[str, Browser]:
    return {role: console.log_in(role, name=role) for role in ROLES}


@pytest.fixture(scope="module")
def places(console: Console) -> dict[str, str]:
    """What the paths name: a transaction, a case, a draft, a list."""
    (transaction_id,) = insert(console.database, 80_001)
    author = console.log_in("rule_author", name="author of the draft")
    author.post("/console/rules/drafts")
    author.post("/console/lists", name="seen", column="user_id", kind="other")
    author.get("/console/reviews")
    return {
        "{user_id}": "80001", "{transaction_id}": str(transaction_id), "{case_id}": "1", "{draft_id}": "1",
        "{exception_id}": "1", "{name}": "seen",
    }  # fmt: skip


def path_of(path: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        path = path.replace(name, value)
    return f"/console{path}"


def test_the_matrix_names_every_route(console: Console) -> None:
    routes = {
        (method, route.path, permission_of(route))
        for route in console_routes(console.app)
        for method in route.methods
    }
    assert routes == {(method, path, permission) for method, path, _, permission in PAGES}
    assert {name: set(roles) for name, roles in PERMISSIONS.items()} == PERMITTED


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("method", "path", "form", "permission"), PAGES, ids=[f"{page[0]} {page[1]}" for page in PAGES]
)
def test_every_role_on_every_page(
    console: Console,
    browsers: dict[str, Browser],
    places: dict[str, str],
    method: str,
    path: str,
    form: dict[str, Any],
    permission: str | None,
    role: str,
) -> None:
    browser = browsers[role] if path != "/logout" else console.log_in(role)
    url = path_of(path, places)
    response = browser.get(url) if method == "GET" else browser.post(url, **form)
    if permission is not None and role not in PERMITTED[permission]:
        assert response.status_code == 403 and "this needs the role" in response.text
    else:
        assert response.status_code not in (401, 403, 500, 503), response.text


@pytest.mark.parametrize(
    ("method", "path", "form", "permission"), PAGES, ids=[f"{page[0]} {page[1]}" for page in PAGES]
)
def test_without_a_session_nothing_opens(
    console: Console,
    places: dict[str, str],
    method: str,
    path: str,
    form: dict[str, Any],
    permission: str | None,
) -> None:
    url = path_of(path, places)
    response = console.browser().request(method, url, data=form or None)
    if permission is not None:
        assert response.status_code == 303 and response.headers["location"] == "/console/login"
        ajax = console.browser().request(method, url, headers={"HX-Request": "true"})
        assert ajax.status_code == 401 and ajax.headers["hx-redirect"] == "/console/login"


@pytest.mark.parametrize("page", [page for page in PAGES if page[0] == "POST"], ids=lambda page: page[1])
def test_forged_requests_change_nothing(
    console: Console, places: dict[str, str], page: tuple[str, str, dict[str, Any], str | None]
) -> None:
    url, form = path_of(page[1], places), page[2]
    browser, other = console.log_in("administrator"), console.log_in("administrator", name="eve")
    for given in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": other.csrf()}, {"csrf": "é"}):
        response = browser.request("POST", url, data=form | given)
        assert response.status_code == 403 and "the form is of another session" in response.text
    as_file = browser.request("POST", url, data=form, files={"csrf": ("a", b"b")})
    assert as_file.status_code == 403
    header = browser.request("POST", url, data=form, headers={"X-CSRF-Token": browser.csrf()})
    assert header.status_code != 403


def link(**changes: Any) -> str:
    claims = {
        "sub": "ann",
        "roles": ["analyst"],
        "aud": LINK_AUDIENCE,
        "exp": int(time.time()) + 60,
    } | changes
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, SECRET, algorithm="HS256")


BAD_LINKS: dict[str, Callable[[], str]] = {
    "expired": lambda: link(exp=int(time.time()) - 5),
    "no expiry": lambda: link(exp=None),
    "another audience": lambda: link(aud="rowguard"),
    "another secret": lambda: jwt.encode(
        {"sub": "a", "exp": 9e9, "aud": LINK_AUDIENCE}, "x" * 40, algorithm="HS256"
    ),
    "unsigned": lambda: jwt.encode({"sub": "a", "exp": 9e9, "aud": LINK_AUDIENCE}, None, algorithm="none"),  # type: ignore[arg-type]
    "no token": lambda: "x",
    "empty": lambda: "",
}


@pytest.mark.parametrize("name", BAD_LINKS)
def test_bad_links_open_nothing(console: Console, name: str) -> None:
    browser = console.browser()
    response = browser.get("/console/login", params={"token": BAD_LINKS[name]()})
    assert response.status_code == 401 and "the link is not valid or has expired" in response.text
    assert browser.get("/console/").status_code == 303


def test_a_user_without_a_role_is_told_so(console: Console) -> None:
    response = console.browser().get("/console/login", params={"token": link(roles=["root", 5])})
    assert response.status_code == 403 and "ann has no role of the console" in response.text


def test_a_session_ends_in_time_and_by_logging_out(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = console.log_in("analyst")
    assert browser.get("/console/").status_code == 200
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr("api.console.sessions.time.time", lambda: now + 12 * 3600 + 5)
        assert browser.get("/console/").status_code == 303
    browser = console.log_in("analyst")
    assert browser.post("/console/logout").headers["location"] == "/console/login"
    assert browser.get("/console/").status_code == 303


def test_a_changed_cookie_is_no_session(console: Console) -> None:
    browser = console.log_in("analyst")
    (cookie,) = browser.client.cookies.jar
    assert cookie.value and cookie.path == "/console" and cookie.has_nonstandard_attr("httponly")
    forged = console.browser()
    forged.client.cookies.set("rowguard_console", "x" + cookie.value[1:], path="/console")
    assert forged.get("/console/").status_code == 303


def test_pages_carry_a_strict_policy(console: Console) -> None:
    browser = console.log_in("administrator")
    for path in ("/console/", "/console/login", "/console/nothing", "/console/static/console.js"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"
    assert browser.get("/console/").headers["cache-control"] == "no-store"


def test_the_login_is_audited(console: Console) -> None:
    console.log_in("analyst", name="grace")
    rows = console.log_in("approver").get("/console/audit", params={"actor": "grace"}).text
    assert "console.login" in rows and "roles analyst" in rows


def test_only_this_machine_reaches_an_open_console(console: Console) -> None:
    response = console.browser().get("/console/login", headers={"host": "evil.example.com"})
    assert response.status_code == 421
