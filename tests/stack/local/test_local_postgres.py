"""The life of a PostgreSQL server of our own."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from rowguard.errors import LocalStackError
from rowguard.local import PostgresServer, find_postgres_binaries, temporary_server
from rowguard.local._account import Account, run_as
from rowguard.local._postmaster import find_postmaster
from rowguard.local._processes import is_alive, wait_until

MakeServer = Callable[..., PostgresServer]


def postmaster_pid(server: PostgresServer) -> int:
    found = find_postmaster(server.data)
    assert found is not None
    return found.pid


def show(server: PostgresServer, setting: str) -> str:
    with server.connect() as connection:
        row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
        assert row is not None
        return str(row[0])


def remember_something(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def what_it_remembers(server: PostgresServer) -> int:
    with server.connect() as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
        assert row is not None
        return int(row[0])


def one_line(error: pytest.ExceptionInfo[LocalStackError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_first_start_gives_a_private_durable_server(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.ensure_running()
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT current_user, current_database()").fetchone()
    assert found == ("rowguard", "rowguard")
    assert url == server.url
    assert show(server, "listen_addresses") == "127.0.0.1"
    assert show(server, "unix_socket_directories") == ""
    assert (show(server, "fsync"), show(server, "synchronous_commit")) == ("on", "on")
    assert (show(server, "server_encoding"), show(server, "TimeZone")) == ("UTF8", "UTC")
    assert stat.S_IMODE((server.directory / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert not server.directory.stat().st_mode & 0o007


def test_only_the_password_lets_in(running: PostgresServer) -> None:
    lines = (running.data / "pg_hba.conf").read_text().splitlines()
    hba = [line for line in lines if line and line[0] != "#"]
    assert hba and all(line.endswith("scram-sha-256") for line in hba)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url_for_login("rowguard", "guess"))


def test_text_sorts_by_code_point_and_folds_umlauts(running: PostgresServer) -> None:
    with running.connect() as connection:
        row = connection.execute("SELECT 'B' < 'a', lower('Ä')").fetchone()
    assert row == (True, "ä")


def test_restart_keeps_data_and_port(server: PostgresServer) -> None:
    url = server.ensure_running()
    remember_something(server)
    assert server.stop() is True
    assert (server.is_running(), server.stop()) == (False, False)
    again = PostgresServer(server.directory, durable=False)
    assert again.ensure_running() == url
    assert what_it_remembers(again) == 42


def test_port_taken_meanwhile_moves_the_server_and_says_so(
    server: PostgresServer, stranger: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    server.ensure_running()
    old = server.port
    assert old is not None
    server.stop()
    stranger(old)
    with caplog.at_level(logging.WARNING, "rowguard.local"):
        server.ensure_running()
    new = server.port
    assert new != old
    assert f"port {old} is taken by another program; PostgreSQL moves to port {new}" in caplog.text
    assert (server.directory / "port").read_text().strip() == str(new)


def test_port_that_was_asked_for_and_is_taken(
    make_server: MakeServer, free_port: int, stranger: Callable[[int], None]
) -> None:
    stranger(free_port)
    with pytest.raises(LocalStackError) as error:
        make_server(port=free_port).ensure_running()
    assert f"port {free_port} on 127.0.0.1 is taken by another program" in one_line(error)


def test_killed_server_comes_back_with_its_data(server: PostgresServer) -> None:
    server = PostgresServer(server.directory)  # a durable one
    url = server.ensure_running()
    remember_something(server)
    os.kill(postmaster_pid(server), signal.SIGKILL)
    assert server.ensure_running() == url
    assert what_it_remembers(server) == 42


def test_killed_server_whose_sessions_linger(server: PostgresServer) -> None:
    server.ensure_running()
    with server.connect() as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        session = int(row[0])
        os.kill(session, signal.SIGSTOP)  # cannot notice that its server is gone
        os.kill(postmaster_pid(server), signal.SIGKILL)
        waker = threading.Timer(1.0, os.kill, (session, signal.SIGCONT))
        waker.start()
        server.ensure_running()
        waker.join()
    assert server.is_running()
    assert not is_alive(session)


def test_pid_file_whose_number_a_stranger_has_now(server: PostgresServer) -> None:
    server.ensure_running()
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    owner = server.data.stat()
    account = Account(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
    sleeper = subprocess.Popen(["sleep", "600"], **run_as(account))
    try:
        pid_file.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        assert not server.is_running()
        assert server.stop() is False
        server.ensure_running()
        assert postmaster_pid(server) != sleeper.pid
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_empty_pid_file_after_a_crash_of_the_machine(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowguard.local._postmaster._WRITING_SECONDS", 0.2)
    server.ensure_running()
    server.stop()
    (server.data / "postmaster.pid").write_text("")
    server.ensure_running()
    assert server.is_running()


def test_several_commands_at_once_start_one_server(
    make_server: MakeServer, other_command: Callable[[str], subprocess.Popen[str]]
) -> None:
    server = make_server()
    code = (
        "from rowguard.local import PostgresServer\n"
        f"server = PostgresServer({str(server.directory)!r}, durable=False)\n"
        "print(server.ensure_running())"
    )
    commands = [other_command(code) for _ in range(4)]
    outputs = [command.communicate(timeout=300) for command in commands]
    assert {out.strip() for out, _ in outputs} == {server.url}, outputs
    assert [command.returncode for command in commands] == [0] * 4


def test_initdb_that_was_killed_is_done_again(
    make_server: MakeServer, other_command: Callable[[str], subprocess.Popen[str]]
) -> None:
    server = make_server()
    command = other_command(
        # However late it is killed, it has not put the finished directory in its place.
        "import pathlib, time\npathlib.Path.rename = lambda *_: time.sleep(600)\n"
        "from rowguard.local import PostgresServer\n"
        f"PostgresServer({str(server.directory)!r}).ensure_running()"
    )
    assert wait_until(lambda: any(server.directory.glob("data.partial-*/data/PG_VERSION")), 120)
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    assert not server.data.exists()
    server.ensure_running()
    assert list(server.directory.glob("data*")) == [server.data]


def test_what_is_no_complete_data_directory_is_set_aside(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server()
    (server.data / "base").mkdir(parents=True)
    (server.data / "base" / "leaf").write_text("x")
    server.ensure_running()
    assert "no complete data directory" in caplog.text
    [aside] = server.directory.glob("data.incomplete-*")
    assert (aside / "base" / "leaf").read_text() == "x"


def test_data_directory_of_another_version(server: PostgresServer) -> None:
    server.ensure_running()
    server.stop()
    version_file = server.data / "PG_VERSION"
    right = version_file.read_text()
    version_file.write_text("12\n")
    with pytest.raises(LocalStackError) as error:
        server.ensure_running()
    message = one_line(error)
    assert "made by PostgreSQL 12" in message and f"are PostgreSQL {right.strip()}" in message
    assert "ROWGUARD_POSTGRES_BIN" in message and str(server.data) in message
    version_file.write_text(right)
    server.ensure_running()
    assert server.is_running()


def test_reason_of_a_failed_start_is_told(server: PostgresServer) -> None:
    server.ensure_running()
    server.stop()
    with (server.data / "postgresql.conf").open("a") as config:
        config.write("\nmax_connections = plenty\n")
    with pytest.raises(LocalStackError) as error:
        server.ensure_running()
    message = one_line(error)
    assert "does not start" in message and str(server.log_file) in message
    assert "max_connections" in server.log_file.read_text()


def test_lost_password_is_replaced_after_a_stop(server: PostgresServer) -> None:
    old = server.ensure_running()
    (server.directory / "password").unlink()
    with pytest.raises(LocalStackError, match="rowguard down, then: rowguard up"):
        server.ensure_running()
    server.stop()
    assert server.ensure_running() != old
    assert show(server, "port") == str(server.port)


def test_changed_password_file_is_named(server: PostgresServer) -> None:
    server.ensure_running()
    (server.directory / "password").write_text("another\n")
    with pytest.raises(LocalStackError) as error:
        server.ensure_running()
    assert "refuses the password" in one_line(error)


def test_dropped_database_is_made_again(server: PostgresServer) -> None:
    server.ensure_running()
    server.drop_database("rowguard")
    with psycopg.connect(server.ensure_running()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("rowguard",)


def test_callers_pg_variables_do_not_matter(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGPORT": "1",
        "PGDATA": "/nowhere",
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c nonsense=1",
        "PGSSLMODE": "require",
    }.items():
        monkeypatch.setenv(name, value)
    server.ensure_running()
    assert show(server, "listen_addresses") == "127.0.0.1"


def test_output_is_not_held_open(
    server: PostgresServer, other_command: Callable[[str], subprocess.Popen[str]]
) -> None:
    code = (
        "from rowguard.local import PostgresServer\n"
        f"PostgresServer({str(server.directory)!r}).ensure_running()"
    )
    other_command(code).communicate(timeout=300)  # ends only when nobody holds the pipe any more
    assert server.is_running()


def test_databases_are_created_cloned_and_dropped(running: PostgresServer) -> None:
    with psycopg.connect(running.create_database("one")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS n")
    clone = psycopg.connect(running.create_database('a "b"', template="one"))
    assert clone.execute("SELECT n FROM t").fetchone() == (7,)
    running.drop_database('a "b"')  # although somebody is connected
    clone.close()
    running.drop_database("one")
    running.drop_database("one")
    with running.connect() as connection:
        names = connection.execute(
            "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1"
        ).fetchall()
    assert names == [("postgres",), ("rowguard",)]


def test_temporary_server_leaves_nothing() -> None:
    with temporary_server() as server:
        assert (show(server, "fsync"), show(server, "full_page_writes")) == ("off", "off")
        pid = postmaster_pid(server)
    assert not is_alive(pid)
    assert not server.directory.exists()


def test_temporary_server_of_a_killed_run_is_cleared_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch, other_command: Callable[[str], subprocess.Popen[str]]
) -> None:
    # A place of its own: another test run on this machine would clear it away as well.
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    killed = other_command(
        "import time\nfrom rowguard.local import temporary_server\n"
        "with temporary_server() as server:\n    print(server.directory, flush=True)\n    time.sleep(600)"
    )
    assert killed.stdout is not None
    left_over = PostgresServer(Path(killed.stdout.readline().strip()))
    killed.kill()
    killed.wait()
    assert left_over.is_running()
    with temporary_server():
        assert not left_over.is_running()
        assert not left_over.directory.exists()


@pytest.mark.skipif(
    not Path("/usr/lib/postgresql/15/bin/initdb").exists(), reason="PostgreSQL 15 is not installed here"
)
def test_an_installed_server_works_too(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_POSTGRES_BIN", "/usr/lib/postgresql/15/bin")
    assert find_postgres_binaries() == Path("/usr/lib/postgresql/15/bin")
    server = make_server()
    server.ensure_running()
    assert show(server, "server_version").startswith("15.")
    server.stop()
    monkeypatch.delenv("ROWGUARD_POSTGRES_BIN")
    if "postgresql/15" not in str(find_postgres_binaries()):
        with pytest.raises(LocalStackError, match="made by PostgreSQL 15"):
            server.ensure_running()
