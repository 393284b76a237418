"""The console without a server: its application on a clone, with browsers that keep cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.console.secret import mint_link_token
from rowguard.settings import Settings
from tests.db.api.conftest import _api_login
from tests.db.lifecycle.models import flag_everything
from tests.fix_database import Workspace, _database, _settings

SECRET = "console-secret-console-secret-console-1"
USERS = tuple(range(90_001, 90_021))


class Browser:
    """A client with its own cookies; redirects are not followed."""

    def __init__(self, portal: BlockingPortal, app: FastAPI) -> None:
        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("state", {})
            await app(scope, receive, send)

        self._portal = portal
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://localhost:8001")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self.client.request, method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def csrf(self) -> str:
        """The token that the pages of this session carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/console/models").text)
        assert found is not None
        return found[1]

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form as a page of the session does."""
        return self.request("POST", path, data={"csrf": self.csrf()} | fields)


@dataclass
class Console:
    """The application and its database."""

    app: FastAPI
    settings: Settings
    database: Workspace
    portal: BlockingPortal

    def browser(self) -> Browser:
        return Browser(self.portal, self.app)

    def log_in(self, *roles: str, name: str = "ann") -> Browser:
        browser = self.browser()
        token = mint_link_token(self.settings, name, list(roles), 60)
        response = browser.get("/console/login", params={"token": token})
        assert response.status_code == 303 and response.headers["location"] == "/console/", response.text
        return browser


def insert(workspace: Workspace, *users: int, **columns: Any) -> list[int]:
    """Insert a transaction of each user; return the ids."""
    with workspace.connect() as connection:
        return [
            int(
                connection.execute(
                    "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (%s, 10.5, 7, %s)"
                    " RETURNING transaction_id",
                    [user, columns.get("location", "DE")],
                ).fetchall()[0][0]
            )
            for user in users
        ]


@contextmanager
def running_console(
    server_url: str, template: Workspace, folder: Path, *, publishes: bool = False, **changes: Any
) -> Iterator[Console]:
    """The application on a clone whose model flags every transaction, with the rights of the API.

    `publishes`: it has the owner's address too.
    """
    with _database(server_url, template.url) as url:
        workspace = Workspace(url, _settings(url, folder))
        flag_everything(workspace)
        with _api_login(workspace) as login_url, start_blocking_portal() as portal:
            changed = {
                "database_url": SecretStr(login_url), "api_pool_size": 3, "console_secret": SecretStr(SECRET),
                "publish_database_url": SecretStr(url) if publishes else None, **changes
            }  # fmt: skip
            settings = workspace.settings.model_copy(update=changed)
            app = create_app(settings)
            with portal.wrap_async_context_manager(app.router.lifespan_context(app)):
                yield Console(app, settings, workspace, portal)


@pytest.fixture(scope="module")
def console(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """A console with cases of 20 users."""
    with running_console(server_url, scored_template, tmp_path_factory.mktemp("console")) as console:
        insert(console.database, *USERS)
        yield console
