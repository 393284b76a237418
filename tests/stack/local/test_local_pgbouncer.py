"""PgBouncer in front of a server of our own."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator

import psycopg
import pytest

from rowguard.errors import LocalStackError
from rowguard.local import (
    PgBouncer,
    PostgresServer,
    embedded_pgbouncer,
    embedded_server,
    find_pgbouncer,
    resolve_pooled_url,
)
from rowguard.local._pgbouncer_config import ADMIN, LOGIN
from rowguard.local._postmaster import find_postmaster
from rowguard.local._processes import ProcessRecord, is_alive
from rowguard.settings import Settings
from sql_scoring.deployment.warm_up import renew_pooled_connections

needs_pgbouncer = pytest.mark.skipif(find_pgbouncer() is None, reason="PgBouncer is not installed here")


@pytest.fixture
def pool(server: PostgresServer) -> Iterator[PgBouncer]:
    """A pool that has not been started yet, stopped before its server is."""
    pool = PgBouncer(server.directory.parent / "pool", server)
    yield pool
    pool.destroy()


@pytest.fixture(scope="module")
def shared(running: PostgresServer) -> Iterator[PgBouncer]:
    """A running pool that several tests share."""
    pool = PgBouncer(running.directory.parent / "pool", running)
    pool.ensure_running()
    yield pool
    pool.destroy()


def ask(url: str | None, question: str) -> object:
    assert url is not None
    with psycopg.connect(url, prepare_threshold=None) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


def process_of(pool: PgBouncer) -> int:
    record = ProcessRecord.load(pool.directory / "process")
    assert record is not None
    return record.pid


def test_not_installed(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "")
    pool = PgBouncer(server.directory.parent / "pool", server)
    assert not pool.available
    assert (pool.ensure_running(), pool.url, pool.is_running(), pool.stop()) == (None, None, False, False)
    assert not server.is_running()


@needs_pgbouncer
def test_pool_shares_connections_by_transaction(pool: PgBouncer) -> None:
    url = pool.ensure_running()
    assert url is not None and url.endswith("/rowguard") and pool.url == url
    with (
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as one,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as other,
    ):
        backend = "SELECT pg_backend_pid()"
        assert one.execute(backend).fetchone() == other.execute(backend).fetchone()
    assert ask(url, "SELECT current_user || '@' || current_database()") == "rowguard@rowguard"
    pid = process_of(pool)
    assert pool.ensure_running() == url
    assert process_of(pool) == pid
    assert pool.stop() is True
    assert [pool.stop(), pool.url, is_alive(pid)] == [False, None, False]
    assert pool.ensure_running() == url


@needs_pgbouncer
def test_only_valid_logins_get_in(shared: PgBouncer) -> None:
    with shared.server.connect() as connection:
        connection.execute("CREATE ROLE good LOGIN PASSWORD 'pw'")
        connection.execute("CREATE ROLE late LOGIN PASSWORD 'pw' VALID UNTIL '2020-01-01'")
        connection.execute("CREATE ROLE grp NOLOGIN PASSWORD 'pw'")
    assert ask(shared.url_for("good", "pw"), "SELECT current_user") == "good"
    for user, password in (("good", "wrong"), ("late", "pw"), ("grp", "pw"), ("absent", "pw"), ("good", "")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(shared.url_for(user, password), connect_timeout=60)


@needs_pgbouncer
def test_look_up_is_closed_to_others(shared: PgBouncer) -> None:
    with shared.server.connect() as connection:
        function = connection.execute(
            "SELECT prosecdef, proconfig FROM pg_proc WHERE oid = 'pgbouncer.get_auth(text)'::regprocedure"
        ).fetchone()
        assert function == (True, ["search_path=pg_catalog, pg_temp"])
        may = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND NOT rolsuper"
            " AND has_function_privilege(oid, 'pgbouncer.get_auth(text)', 'EXECUTE')"
        ).fetchall()
        assert may == [(LOGIN,)]
        connection.execute("CREATE ROLE somebody")
        connection.execute("SET ROLE somebody")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM pgbouncer.get_auth('rowguard')")


@needs_pgbouncer
def test_files_are_private_and_passwords_stay_out_of_sight(shared: PgBouncer) -> None:
    secrets = [(shared.directory / name).read_text().strip() for name in ("password", "admin_password")]
    secrets.append((shared.server.directory / "password").read_text().strip())
    for path in shared.directory.iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    shown = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    shown += shared.log_file.read_text() + shared.server.log_file.read_text()
    assert str(shared.directory) in shown
    assert not [secret for secret in secrets if secret in shown]


@needs_pgbouncer
def test_query_for_new_connections(shared: PgBouncer) -> None:
    query = "SET application_name =\n 'it''s warm';"
    url = PgBouncer(shared.directory, shared.server, connect_query=query).ensure_running()
    assert ask(url, "SHOW application_name") == "it's warm"
    shared.reload(connect_query="SET application_name = 'hot'")
    assert ask(url, "SHOW application_name") == "hot"
    shared.stop()
    shared.ensure_running()
    assert ask(url, "SHOW application_name") == "hot"
    shared.reload(connect_query="")
    assert ask(url, "SHOW application_name") == ""


@needs_pgbouncer
def test_failing_query_for_new_connections_locks_nobody_out(shared: PgBouncer) -> None:
    cold = PgBouncer(shared.directory, shared.server, connect_query="SELECT no_such_function()")
    assert ask(cold.ensure_running(), "SELECT 1") == 1
    assert "no_such_function" in shared.log_file.read_text()


@needs_pgbouncer
def test_reconnect_replaces_server_connections_and_keeps_clients(shared: PgBouncer) -> None:
    with psycopg.connect(shared.url or "", autocommit=True, prepare_threshold=None) as client:
        before = client.execute("SELECT pg_backend_pid()").fetchone()
        shared.reconnect()
        assert client.execute("SELECT pg_backend_pid()").fetchone() != before


@needs_pgbouncer
def test_the_local_stack_warms_connections_and_a_deploy_renews_them(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    url = resolve_pooled_url(settings)
    assert ask(url, "SELECT 1") == 1  # no schema yet, nothing to warm
    with embedded_server(settings).connect("rowguard") as connection:
        connection.execute("CREATE TABLE warmed (pid integer)")
        connection.execute(
            "CREATE FUNCTION public.warm_scoring() RETURNS void LANGUAGE sql"
            " AS 'INSERT INTO warmed VALUES (pg_backend_pid())'"
        )
    for _ in range(2):
        assert renew_pooled_connections(settings)
        assert ask(url, "SELECT count(*) FROM warmed WHERE pid = pg_backend_pid()") == 1
    assert "no_such" not in embedded_pgbouncer(settings).log_file.read_text()


@needs_pgbouncer
def test_a_deploy_renews_the_connections_of_a_named_pool(
    shared: PgBouncer, make_settings: Callable[..., Settings]
) -> None:
    password = (shared.directory / "admin_password").read_text().strip()
    console = shared.url_for(ADMIN, password).rpartition("/")[0] + "/pgbouncer"
    named = make_settings(pgbouncer_admin_url=console, database_url="postgresql://nobody@127.0.0.1:1/none")
    before = ask(shared.url, "SELECT pg_backend_pid()")
    assert renew_pooled_connections(named)
    assert ask(shared.url, "SELECT pg_backend_pid()") != before
    wrong = make_settings(pgbouncer_admin_url=console.replace(password, "wrong"))
    assert not renew_pooled_connections(wrong)
    assert not renew_pooled_connections(make_settings())


@needs_pgbouncer
def test_killed_pool_and_moved_server(pool: PgBouncer, stranger: Callable[[int], None]) -> None:
    url = pool.ensure_running()
    os.kill(process_of(pool), signal.SIGKILL)
    assert pool.ensure_running() == url
    old = pool.server.port
    assert old is not None
    postmaster = find_postmaster(pool.server.data)
    assert postmaster is not None
    pool.server.stop()
    stranger(old)
    pool.server.ensure_running()
    assert pool.server.port != old
    assert pool.ensure_running() == url
    assert ask(url, "SHOW port") == str(pool.server.port)


@needs_pgbouncer
def test_restarted_server_is_found_again(pool: PgBouncer) -> None:
    url = pool.ensure_running()
    pid = process_of(pool)
    assert url is not None
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as client:
        pool.server.stop()
        assert pool.ensure_running() == url
        assert (process_of(pool), pool.server.is_running()) == (pid, True)
        assert client.execute("SELECT 1").fetchone() == (1,)


@needs_pgbouncer
def test_taken_port(
    pool: PgBouncer, stranger: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = pool.ensure_running()
    port = int((pool.directory / "port").read_text())
    pool.stop()
    stranger(port)
    assert pool.ensure_running() != first
    assert f"port {port} is taken by another program; PgBouncer moves" in caplog.text


@needs_pgbouncer
def test_recreated_database_gets_the_look_up_again(pool: PgBouncer) -> None:
    pool.ensure_running()
    pool.server.drop_database("rowguard")
    assert ask(pool.ensure_running(), "SELECT count(*) FROM pg_namespace WHERE nspname = 'pgbouncer'") == 1


@needs_pgbouncer
def test_reload_without_a_pool(pool: PgBouncer) -> None:
    with pytest.raises(LocalStackError, match="PgBouncer does not run"):
        pool.reload()


def test_program_that_is_not_pgbouncer(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "/bin/echo")
    with pytest.raises(LocalStackError, match="does not say that it is PgBouncer"):
        PgBouncer(server.directory.parent / "pool", server).ensure_running()
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "/nowhere/pgbouncer")
    with pytest.raises(LocalStackError, match="which is no program"):
        find_pgbouncer()
