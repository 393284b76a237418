"""The whole stack of a checkout."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

import psycopg
import pytest

from rowguard.errors import DatabaseUnavailableError, LocalStackError
from rowguard.local import (
    PostgresServer,
    down,
    embedded_server,
    ensure_login,
    find_pgbouncer,
    resolve_database_url,
    resolve_pooled_url,
    status,
    up,
)
from rowguard.settings import Settings

MakeSettings = Callable[..., Settings]
STAND_IN = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["ROWGUARD_API_PORT"])), Handler).serve_forever()
"""
COMMAND = (sys.executable, "-c", STAND_IN)


def test_up_status_down(make_settings: MakeSettings) -> None:
    settings = make_settings()
    assert status(settings).database_url is None
    assert not settings.state_dir.exists()

    stack = up(settings, api_command=COMMAND)
    assert not settings.state_dir.stat().st_mode & 0o067
    with psycopg.connect(stack.database_url or "") as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("rowguard",)
    assert stack.api_url == f"http://127.0.0.1:{settings.api_port}"
    assert (stack.pooled_url is not None) == (find_pgbouncer() is not None)
    assert stack.postgres_version and stack.data_bytes and stack.data_bytes > 1_000_000
    assert not stack.is_external
    assert set(stack.logs) >= {"postgres", "api"}
    assert up(settings, api_command=COMMAND).api_url == stack.api_url
    assert status(settings).database_url == stack.database_url
    assert resolve_database_url(settings) == stack.database_url
    assert resolve_pooled_url(settings) == stack.pooled_url

    password = (settings.state_dir / "postgres" / "password").read_text().strip()
    assert password in str(asdict(stack)) and password not in str(asdict(stack.redacted()))
    for log in stack.logs.values():
        assert password not in log.read_text()
        assert not stat.S_IMODE(log.stat().st_mode) & 0o077

    expected = ("API", "PgBouncer", "PostgreSQL") if stack.pooled_url else ("API", "PostgreSQL")
    assert down(settings) == expected
    assert down(settings) == ()
    gone = status(settings)
    assert (gone.database_url, gone.pooled_url, gone.api_url) == (None, None, None)


def test_login_is_made_once_and_kept(make_settings: MakeSettings) -> None:
    settings = make_settings()
    with pytest.raises(LocalStackError, match="role rowguard_api does not exist yet; run: rowguard migrate"):
        ensure_login(settings, "api_login", "rowguard_api")
    server = embedded_server(settings)
    with server.connect() as connection:
        connection.execute("CREATE ROLE rowguard_api NOLOGIN")
    url = ensure_login(settings, "api_login", "rowguard_api")
    assert url == ensure_login(settings, "api_login", "rowguard_api")
    assert stat.S_IMODE((settings.state_dir / "logins" / "api_login").stat().st_mode) == 0o600
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_user, pg_has_role('rowguard_api', 'MEMBER')").fetchone()
        assert row == ("api_login", True)
    with server.connect() as connection:  # somebody changed it
        connection.execute("ALTER ROLE api_login NOLOGIN PASSWORD 'x' VALID UNTIL '2020-01-01'")
        connection.execute("REVOKE rowguard_api FROM api_login")
    with psycopg.connect(ensure_login(settings, "api_login", "rowguard_api")) as connection:
        assert connection.execute("SELECT pg_has_role('rowguard_api', 'MEMBER')").fetchone() == (True,)
    password = (settings.state_dir / "logins" / "api_login").read_text().strip()
    assert password not in server.log_file.read_text()


def test_external_database_is_neither_started_nor_stopped(
    make_settings: MakeSettings, server: PostgresServer
) -> None:
    url = server.ensure_running()
    settings = make_settings(database_url=url)
    stack = up(settings, api=False)
    assert (stack.database_url, stack.pooled_url, stack.is_external) == (url, None, True)
    assert "external" in stack.notes[0]
    assert down(settings) == ()
    assert server.is_running() and not (settings.state_dir / "postgres").exists()
    with pytest.raises(LocalStackError, match="external"):
        ensure_login(settings, "api_login", "rowguard_api")
    pooled = make_settings(database_url=url, pooled_url="postgresql://p/x")
    assert resolve_pooled_url(pooled) == "postgresql://p/x"
    server.stop()
    with pytest.raises(DatabaseUnavailableError):
        up(settings, api=False)
    after = status(settings)
    assert (after.database_url, after.postgres_version) == (url, None)
    assert "no connection" in after.notes[-1]


def test_without_pgbouncer(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "")
    stack = up(make_settings(), api=False)
    assert stack.database_url and stack.pooled_url is None
    assert "PgBouncer is not installed; connections are direct" in stack.notes


def test_broken_pgbouncer_is_said_and_done_without(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "/bin/false")
    stack = up(make_settings(), api=False)
    assert stack.database_url and stack.pooled_url is None
    assert "going on without PgBouncer: /bin/false does not run" in caplog.text


def test_taken_api_port_is_found_before_anything_starts(
    make_settings: MakeSettings, stranger: Callable[[int], None]
) -> None:
    settings = make_settings()
    stranger(settings.api_port)
    with pytest.raises(LocalStackError, match="is taken by another program"):
        up(settings, api_command=COMMAND)
    assert not embedded_server(settings).is_running()


def test_two_ups_at_once(
    make_settings: MakeSettings, other_command: Callable[[str], subprocess.Popen[str]]
) -> None:
    settings = make_settings()
    code = (
        "from pathlib import Path\nfrom rowguard.local import up\nfrom rowguard.settings import Settings\n"
        f"settings = Settings(state_dir=Path({str(settings.state_dir)!r}), api_port={settings.api_port})\n"
        f"stack = up(settings, api_command={COMMAND!r})\n"
        "print(stack.database_url, stack.pooled_url, stack.api_url)"
    )
    commands = [other_command(code) for _ in range(2)]
    outputs = [command.communicate(timeout=300) for command in commands]
    assert len({out for out, _ in outputs}) == 1, outputs
    assert settings.api_port and f":{settings.api_port}" in outputs[0][0], outputs
