"""The whole local stack: PostgreSQL, PgBouncer, API."""

from __future__ import annotations

import stat
import sys
import urllib.request
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from rowguard import local
from rowguard.errors import LocalStackError
from rowguard.local import ApiProcess, PgBouncer, PostgresServer
from rowguard.settings import Settings
from sql_scoring.deployment import migrate_schema
from sql_scoring.deployment.warm_up import renew_pooled_connections
from tests.ports import free_port
from tests.stack.local.conftest import listener
from tests.waiting import wait_until

needs_pgbouncer = pytest.mark.skipif(local.find_pgbouncer() is None, reason="PgBouncer is not installed")
ALIVE = (
    "from http.server import *; import sys\n"
    "class Alive(BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self.send_response(200); self.end_headers()\n"
    "HTTPServer(('127.0.0.1', int(sys.argv[1])), Alive).serve_forever()"
)


def fetch(url: str | None, query: str) -> object:
    with psycopg.connect(url or "", autocommit=True, prepare_threshold=None) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_up_status_down(settings: Settings) -> None:
    status = local.status(settings)
    assert (status.database_url, status.pooled_url, status.api_url) == (None, None, None)
    assert not settings.state_dir.exists(), "status starts nothing"
    migrate_schema(local.resolve_database_url(settings), settings.models_dir)
    status = local.up(settings)
    assert status == local.up(settings) == local.status(settings)
    assert fetch(status.database_url, "SELECT 1") == 1
    with urllib.request.urlopen(f"{status.api_url}/livez") as response:
        assert response.status == 200
    assert not stat.S_IMODE(settings.state_dir.stat().st_mode) & 0o066
    assert set(status.logs) >= {"postgres", "api"}
    assert local.down(settings)[0] == "API" and local.down(settings) == ()


def test_login_of_a_group(settings: Settings) -> None:
    with pytest.raises(LocalStackError, match="rowguard_app does not exist; run: rowguard migrate"):
        local.ensure_login(settings, "app_login", "rowguard_app")
    migrate_schema(local.resolve_database_url(settings), settings.models_dir)
    url = local.ensure_login(settings, "app_login", "rowguard_app")
    direct = local.ensure_login(settings, "app_login", "rowguard_app", pooled=False)
    assert fetch(url, "SELECT current_user") == fetch(direct, "SELECT current_user") == "app_login"
    with local.embedded_server(settings).connect() as connection:
        connection.execute("ALTER ROLE app_login PASSWORD NULL NOLOGIN VALID UNTIL '2020-01-01'")
    assert local.ensure_login(settings, "app_login", "rowguard_app") == url
    assert fetch(direct, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_an_external_database_is_left_alone(settings: Settings, server: PostgresServer) -> None:
    external = settings.model_copy(update={"database_url": SecretStr(server.ensure_running())})
    status = local.up(external, api=False)
    assert (status.database_url, status.pooled_url) == (server.url, None)
    assert local.down(external) == () and server.is_running()
    with pytest.raises(LocalStackError, match="create the login app_login there"):
        local.ensure_login(external, "app_login", "rowguard_app")


def test_without_pgbouncer_connections_are_direct(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "")
    status = local.up(settings, api=False)
    assert status.database_url and status.pooled_url is None
    assert local.resolve_pooled_url(settings) is None


@needs_pgbouncer
def test_pgbouncer_pools_transactions_and_checks_passwords(server: PostgresServer, folder: Path) -> None:
    pgbouncer = PgBouncer(folder / "pool", server, connect_query="SET application_name = 'it''s warm';")
    try:
        url = pgbouncer.ensure_running()
        assert url == pgbouncer.url == pgbouncer.ensure_running()
        assert fetch(url, "SHOW application_name") == "it's warm"
        with psycopg.connect(url or "", autocommit=True) as first, psycopg.connect(url or "") as second:
            pids = [c.execute("SELECT pg_backend_pid()").fetchone() for c in (first, second)]
        assert pids[0] == pids[1]
        with pytest.raises(psycopg.OperationalError, match="auth"):
            psycopg.connect(pgbouncer.url_for("rowguard", "wrong"))
        for path in (pgbouncer.directory / "users.txt", pgbouncer.directory / "pgbouncer.ini"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.password not in pgbouncer.log_file.read_text()
    finally:
        pgbouncer.destroy()
    assert not pgbouncer.directory.exists()


@needs_pgbouncer
def test_pgbouncer_follows_a_moved_server_and_survives_a_kill(server: PostgresServer, folder: Path) -> None:
    pgbouncer = PgBouncer(folder / "pool", server)
    try:
        url = pgbouncer.ensure_running()
        assert pgbouncer.process is not None
        pgbouncer.process.kill()
        wait_until(lambda: not pgbouncer.is_running(), "the end of PgBouncer")
        assert pgbouncer.ensure_running() == url
        port = server.port
        server.stop()
        with listener(port):
            assert fetch(pgbouncer.ensure_running(), "SHOW port") == str(server.port) != str(port)
    finally:
        pgbouncer.destroy()


@needs_pgbouncer
def test_a_deployment_renews_pooled_connections(settings: Settings) -> None:
    assert not renew_pooled_connections(settings), "nothing runs"
    url = local.resolve_pooled_url(settings) or ""
    local.add_pgbouncer_admin_url(settings)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as client:
        before = client.execute("SELECT pg_backend_pid()").fetchone()
        assert renew_pooled_connections(settings)
        wait_until(
            lambda: client.execute("SELECT pg_backend_pid()").fetchone() != before, "a new server connection"
        )
    local.down(settings)
    assert not renew_pooled_connections(settings), "an error is a warning"


def test_the_api_starts_once_restarts_for_other_addresses_and_stops(folder: Path) -> None:
    port = free_port()
    command = (sys.executable, "-c", ALIVE, str(port))
    api = ApiProcess(folder / "api", host="127.0.0.1", port=port, command=command)
    url = api.ensure_running("db")
    first = api.process
    assert api.ensure_running("db") == url and api.process == first
    api.ensure_running("other")
    assert api.process != first
    assert api.stop() and not api.stop() and not api.is_responding()


def test_an_api_that_ends_states_why(folder: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('model store is on fire')")
    api = ApiProcess(folder / "api", host="127.0.0.1", port=free_port(), command=command)
    with pytest.raises(LocalStackError, match=r"API does not start: model store is on fire; see .*API\.log"):
        api.ensure_running()


def test_a_taken_port_of_the_api(settings: Settings) -> None:
    with listener(settings.api_port), pytest.raises(LocalStackError, match="is taken; .*ROWGUARD_API_PORT"):
        local.up(settings)
    assert not local.embedded_server(settings).is_running(), "the port is checked first"
