"""Log in at a real OpenID Connect provider: roles, public clients, and every way to come back with a wrong response."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from tests.db.console.conftest import Browser, Console, running_console
from tests.fix_database import Workspace
from tests.stack.console.conftest import REDIRECT_URI, running_provider

pytestmark = pytest.mark.slow

ROLES: dict[str, Any] = {
    "oidc_client_id": "rowguard",
    "oidc_client_secret": SecretStr("a-secret-of-the-console"),
    "oidc_roles_claim": "realm_access.roles",
    "oidc_role_names": "analyst=fraud-ops, administrator=fraud-admins",
}


@pytest.fixture(scope="module")
def console(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory, issuer: str
) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("oidc-console")
    with running_console(server_url, scored_template, folder, oidc_issuer=issuer, **ROLES) as running:
        yield running


def visit_provider(start: str, account: str) -> str:
    """Log in and consent on the provider's pages; return the address that it leads back to."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        response = client.get(start)
        for _ in range(12):
            if response.has_redirect_location:
                target = urljoin(str(response.url), response.headers["location"])
                if target.startswith(REDIRECT_URI):
                    return target
                response = client.get(target)
                continue
            action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', response.text)
            assert action and prompt, response.text
            fields = {"prompt": prompt[1], "login": account, "password": "any"}
            response = client.post(urljoin(str(response.url), unescape(action[1])), data=fields)
        raise AssertionError("the provider does not lead back")


def start_login(browser: Browser) -> str:
    response = browser.get("/console/login/provider")
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


def come_back(browser: Browser, address: str) -> httpx.Response:
    parts = urlsplit(address)
    return browser.get(f"{parts.path}?{parts.query}")


@pytest.mark.parametrize(("account", "role"), [("ann", "analyst"), ("root", "administrator")])
def test_a_user_logs_in_with_the_roles_of_the_provider(console: Console, account: str, role: str) -> None:
    browser = console.browser()
    assert "Log in with your identity provider" in browser.get("/console/login").text
    browser.get("/console/models")  # asks to log in, and leads back there
    response = come_back(browser, visit_provider(start_login(browser), account))
    assert response.status_code == 303 and response.headers["location"] == "/console/models", response.text
    page = browser.get("/console/models").text
    assert account in page and role in page


def test_the_request_has_state_nonce_and_pkce(console: Console) -> None:
    query = parse_qs(urlsplit(start_login(console.browser())).query)
    assert query["response_type"] == ["code"] and query["code_challenge_method"] == ["S256"]
    assert len(query["state"][0]) > 20 and len(query["nonce"][0]) > 15 and query["code_challenge"]
    assert query["redirect_uri"] == [REDIRECT_URI]


def test_a_user_without_a_role_is_told_so(console: Console) -> None:
    browser = console.browser()
    response = come_back(browser, visit_provider(start_login(browser), "nobody"))
    assert response.status_code == 403 and "nobody has no role of the console" in response.text
    assert browser.get("/console/").status_code == 303


def test_wrong_responses_open_nothing(console: Console) -> None:
    good = visit_provider(start_login(browser := console.browser()), "ann")
    stranger = console.browser()
    wrong: list[tuple[Browser, str]] = [
        (stranger, good),  # another browser has no state
        (browser, good.replace("code=", "code=x")),
        (browser, good),  # the state was used above
        (stranger, f"{REDIRECT_URI}?code=1&state=2"),
        (stranger, REDIRECT_URI),
        (stranger, f"{REDIRECT_URI}?error=access_denied&error_description=<b>no</b>"),
    ]
    for each, address in wrong:
        response = come_back(each, address)
        assert response.status_code == 401 and "is not accepted; log in again" in response.text
        assert "<b>no" not in response.text
        assert each.get("/console/").status_code == 303


def test_links_are_not_in_use_with_a_provider(console: Console) -> None:
    from tests.db.console.test_access import link

    response = console.browser().get("/console/login", params={"token": link()})
    assert response.status_code == 401


@pytest.mark.parametrize(
    "changes", [{"oidc_client_id": "public", "oidc_client_secret": None}], ids=["public client"]
)
def test_a_public_client_relies_on_pkce(
    server_url: str, scored_template: Workspace, tmp_path: Path, issuer: str, changes: dict[str, Any]
) -> None:
    values = ROLES | changes
    with running_console(server_url, scored_template, tmp_path, oidc_issuer=issuer, **values) as running:
        browser = running.browser()
        assert come_back(browser, visit_provider(start_login(browser), "ann")).status_code == 303
        assert "analyst" in browser.get("/console/").text


def test_a_provider_that_does_not_answer_is_one_line(
    server_url: str, scored_template: Workspace, tmp_path: Path, provider_folder: Path
) -> None:
    with running_provider(provider_folder) as gone:
        pass
    with running_console(server_url, scored_template, tmp_path, oidc_issuer=gone, **ROLES) as running:
        response = running.browser().get("/console/login/provider")
        assert response.status_code == 502 and "the identity provider does not answer" in response.text
